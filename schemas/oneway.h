/* SPDX-License-Identifier: BSD-2-Clause */
/* The option weft.one_way (schemas/weft/options.proto) in parsed descriptors: which methods have no reply. For the schema
 * compiler and the protoc plugin. */
#ifndef SCH_ONEWAY_H
#define SCH_ONEWAY_H

#include <google/protobuf/descriptor.pb-c.h>

/* Do these files define the option? Its number is one that anybody may use for an option of their own. */
int sch_one_way_defined(Google__Protobuf__FileDescriptorProto *const *files, size_t n);

/* Has the method the option, set to true? Meaningful where it is defined. */
int sch_one_way(const Google__Protobuf__MethodDescriptorProto *m);

#endif
