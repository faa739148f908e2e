/* SPDX-License-Identifier: BSD-2-Clause */
/* See format.h. */
#include "format.h"

#include <stdint.h>

#define FIELD_MAX 4095u

struct sink {
	char *out;
	size_t cap;
	size_t len; /* of the whole text, also beyond cap */
};

struct spec {
	unsigned width;
	unsigned precision;
	uint8_t has_precision;
	uint8_t left, zero, plus, space, alt;
	char length; /* 0, 'H' for hh, 'h', 'l', 'L' for ll, 'z', 'j', 't' */
};

static void put(struct sink *s, char c)
{
	if (s->len + 1 < s->cap)
		s->out[s->len] = c;
	s->len++;
}

static void pad(struct sink *s, char c, size_t n)
{
	while (n-- > 0)
		put(s, c);
}

static unsigned number(const char **f)
{
	unsigned v = 0;

	for (; **f >= '0' && **f <= '9'; (*f)++)
		v = v < FIELD_MAX ? v * 10 + (unsigned)(**f - '0') : FIELD_MAX;
	return v < FIELD_MAX ? v : FIELD_MAX;
}

static void text_put(struct sink *s, const struct spec *sp, const char *text)
{
	size_t n = 0;

	if (!text)
		text = "(null)";
	while ((!sp->has_precision || n < sp->precision) && text[n])
		n++;
	if (!sp->left && sp->width > n)
		pad(s, ' ', sp->width - n);
	for (size_t i = 0; i < n; i++)
		put(s, text[i]);
	if (sp->left && sp->width > n)
		pad(s, ' ', sp->width - n);
}

static void number_put(struct sink *s, const struct spec *sp, uint64_t v, int negative, unsigned base, int upper)
{
	static const char lower_digits[] = "0123456789abcdef", upper_digits[] = "0123456789ABCDEF";
	const char *set = upper ? upper_digits : lower_digits;
	char digits[24];
	const char *prefix = "";
	size_t n = 0, prefix_len = 0, zeros = 0, body;

	for (uint64_t rest = v; rest; rest /= base) /* at most 22 digits */
		digits[n++] = set[rest % base];
	if (!n && !(sp->has_precision && sp->precision == 0))
		digits[n++] = '0';
	if (negative)
		prefix = "-";
	else if (sp->plus)
		prefix = "+";
	else if (sp->space)
		prefix = " ";
	else if (sp->alt && base == 16 && v)
		prefix = upper ? "0X" : "0x";
	while (prefix[prefix_len])
		prefix_len++;
	if (sp->has_precision && sp->precision > n)
		zeros = sp->precision - n;
	if (sp->alt && base == 8 && !zeros && (n == 0 || digits[n - 1] != '0'))
		zeros = 1;
	body = prefix_len + n + zeros;
	if (sp->zero && !sp->left && !sp->has_precision && sp->width > body) {
		zeros += sp->width - body;
		body = sp->width;
	}
	if (!sp->left && sp->width > body)
		pad(s, ' ', sp->width - body);
	for (size_t i = 0; i < prefix_len; i++)
		put(s, prefix[i]);
	pad(s, '0', zeros);
	while (n > 0)
		put(s, digits[--n]);
	if (sp->left && sp->width > body)
		pad(s, ' ', sp->width - body);
}

static int64_t arg_signed(const struct spec *sp, va_list *ap)
{
	switch (sp->length) {
	case 'H': return (signed char)va_arg(*ap, int);
	case 'h': return (short)va_arg(*ap, int);
	case 'l': return va_arg(*ap, long);
	case 'L': return va_arg(*ap, long long);
	case 'j': return va_arg(*ap, intmax_t);
	case 'z':
	case 't': return va_arg(*ap, ptrdiff_t);
	default: return va_arg(*ap, int);
	}
}

static uint64_t arg_unsigned(const struct spec *sp, va_list *ap)
{
	switch (sp->length) {
	case 'H': return (unsigned char)va_arg(*ap, unsigned);
	case 'h': return (unsigned short)va_arg(*ap, unsigned);
	case 'l': return va_arg(*ap, unsigned long);
	case 'L': return va_arg(*ap, unsigned long long);
	case 'j': return va_arg(*ap, uintmax_t);
	case 'z':
	case 't': return va_arg(*ap, size_t);
	default: return va_arg(*ap, unsigned);
	}
}

static unsigned star(struct spec *sp, va_list *ap, int is_width)
{
	int v = va_arg(*ap, int);
	unsigned u = v < 0 ? 0u - (unsigned)v : (unsigned)v;

	if (v < 0 && is_width)
		sp->left = 1;
	if (v < 0 && !is_width) {
		sp->has_precision = 0;
		return 0;
	}
	return u < FIELD_MAX ? u : FIELD_MAX;
}

static const char *spec_parse(struct spec *sp, const char *f, va_list *ap)
{
	*sp = (struct spec){ 0 };
	for (;; f++) { /* ends at the first character that is no flag */
		if (*f == '-')
			sp->left = 1;
		else if (*f == '0')
			sp->zero = 1;
		else if (*f == '+')
			sp->plus = 1;
		else if (*f == ' ')
			sp->space = 1;
		else if (*f == '#')
			sp->alt = 1;
		else
			break;
	}
	if (*f == '*') {
		sp->width = star(sp, ap, 1);
		f++;
	} else {
		sp->width = number(&f);
	}
	if (*f == '.') {
		f++;
		sp->has_precision = 1;
		if (*f == '*') {
			sp->precision = star(sp, ap, 0);
			f++;
		} else {
			sp->precision = number(&f);
		}
	}
	if (*f == 'h' || *f == 'l') {
		sp->length = *f++;
		if (*f == sp->length) {
			sp->length = *f == 'h' ? 'H' : 'L';
			f++;
		}
	} else if (*f == 'z' || *f == 'j' || *f == 't') {
		sp->length = *f++;
	}
	return f;
}

/* Returns 0 when the conversion is unknown. */
static int convert(struct sink *s, struct spec *sp, char c, va_list *ap)
{
	int64_t v;
	char one[2] = { 0, 0 };

	switch (c) {
	case 'd':
	case 'i':
		v = arg_signed(sp, ap);
		number_put(s, sp, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0, 10, 0);
		return 1;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		sp->plus = sp->space = 0;
		number_put(s, sp, arg_unsigned(sp, ap), 0, c == 'u' ? 10 : c == 'o' ? 8 : 16, c == 'X');
		return 1;
	case 'p':
		*sp = (struct spec){ .width = sp->width, .left = sp->left };
		put(s, '0');
		put(s, 'x');
		number_put(s, sp, (uint64_t)(uintptr_t)va_arg(*ap, void *), 0, 16, 0);
		return 1;
	case 'c':
		one[0] = (char)va_arg(*ap, int);
		if (one[0] == 0)
			put(s, 0);
		else
			text_put(s, &(struct spec){ .width = sp->width, .left = sp->left }, one);
		return 1;
	case 's':
		text_put(s, sp, va_arg(*ap, const char *));
		return 1;
	case '%':
		put(s, '%');
		return 1;
	default:
		return 0;
	}
}

size_t uk_vformat(char *out, size_t cap, const char *fmt, va_list ap)
{
	struct sink s = { out, cap, 0 };
	struct spec sp;
	va_list args;

	va_copy(args, ap);
	for (const char *f = fmt; *f; f++) {
		if (*f != '%') {
			put(&s, *f);
			continue;
		}
		f = spec_parse(&sp, f + 1, &args);
		if (!convert(&s, &sp, *f, &args)) {
			put(&s, '%');
			put(&s, '?');
			break;
		}
	}
	va_end(args);
	if (cap > 0)
		out[s.len < cap ? s.len : cap - 1] = 0;
	return s.len;
}

size_t uk_format(char *out, size_t cap, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = uk_vformat(out, cap, fmt, ap);
	va_end(ap);
	return n;
}

/* The length of a well-formed UTF-8 sequence that is no control character, or 0. Over-long forms of the longer kinds
 * are not told apart: a terminal shows nothing for them that it would not show anyway. */
static size_t sequence(const unsigned char *t, size_t len)
{
	size_t n;

	if (t[0] >= 0x20 && t[0] < 0x7f)
		return 1;
	if (t[0] < 0xc2 || t[0] > 0xf4)
		return 0;
	n = t[0] < 0xe0 ? 2 : t[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((t[i] & 0xc0) != 0x80)
			return 0;
	return t[0] == 0xc2 && t[1] < 0xa0 ? 0 : n; /* C1 controls: escape sequences on some terminals */
}

void uk_format_clean(char *text, size_t len)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = sequence((const unsigned char *)text + i, len - i);
		if (n == 0) {
			text[i] = '?';
			n = 1;
		}
	}
}

size_t uk_vformat_line(char *out, size_t cap, const char *fmt, va_list ap)
{
	size_t n = uk_vformat(out, cap, fmt, ap);

	if (n > cap - 1)
		n = cap - 1;
	uk_format_clean(out, n);
	out[n] = '\n';
	return n + 1;
}
