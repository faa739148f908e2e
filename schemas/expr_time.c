/* SPDX-License-Identifier: BSD-2-Clause */
/* Timestamps and durations as texts and as calendar days: RFC 3339, Go's durations as CEL takes them, fixed offsets as time
 * zones. Pure functions over bytes. Sources: RFC 3339 section 5.6; cel-spec's language definition, "Timezones". */
#include <string.h>

#include "expr_impl.h"

#define DAY_S 86400

/* Days since 1970-01-01 of a day of the Gregorian calendar; years from 1. Counting years from March puts the leap day last. */
static int64_t days_of(int32_t year, int32_t month, int32_t day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int is_leap(int32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t days_in(int32_t year, int32_t month)
{
	static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

void sch_civil_of(int64_t s, struct sch_civil *out)
{
	int64_t days = s / DAY_S, rest = s % DAY_S;

	if (rest < 0) {
		rest += DAY_S;
		days--;
	}
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100), march = (5 * of_year + 2) / 153;

	out->day = (int32_t)(of_year - (153 * march + 2) / 5 + 1);
	out->month = (int32_t)(march < 10 ? march + 3 : march - 9);
	out->year = (int32_t)(year + era * 400 + (out->month <= 2));
	out->yearday = (int32_t)(days - days_of(out->year, 1, 1));
	out->weekday = (int32_t)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
	out->hour = (int32_t)(rest / 3600);
	out->minute = (int32_t)(rest / 60 % 60);
	out->second = (int32_t)(rest % 60);
}

/* n digits at p; -1: they are not there. */
static int32_t digits(const char *p, const char *end, int n)
{
	int32_t v = 0;

	if (end - p < n)
		return -1;
	for (int i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

/* "Z" or "+01:00" at p, to the end. */
static int offset_parse(const char *p, const char *end, int32_t *seconds)
{
	int32_t h, m;

	*seconds = 0;
	if (end - p == 1 && (*p == 'Z' || *p == 'z'))
		return 0;
	if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':')
		return -EINVAL;
	h = digits(p + 1, end, 2);
	m = digits(p + 4, end, 2);
	if (h < 0 || h > 23 || m < 0 || m > 59)
		return -EINVAL;
	*seconds = (h * 60 + m) * (*p == '-' ? -60 : 60);
	return 0;
}

/* ".123456789" at *p, where it stands. */
static int fraction_parse(const char **p, const char *end, int32_t *ns)
{
	int32_t unit = SCH_NS / 10;

	*ns = 0;
	if (*p == end || **p != '.')
		return 0;
	if (++*p == end || **p < '0' || **p > '9')
		return -EINVAL;
	for (; *p < end && **p >= '0' && **p <= '9'; ++*p, unit /= 10) {
		if (!unit)
			return -EINVAL; /* finer than a nanosecond */
		*ns += (**p - '0') * unit;
	}
	return 0;
}

int sch_time_parse(const char *p, size_t len, int64_t *s, int32_t *ns)
{
	const char *end = p + len;
	int32_t year, month, day, hour, minute, second, offset;

	if (len < 20 || p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != 't') || p[13] != ':' || p[16] != ':') {
		for (size_t i = 0; i < len && i < 6; i++) /* five digits of a year? */
			if (p[i] < '0' || p[i] > '9')
				return i == 5 && p[i] == '-' ? -ERANGE : -EINVAL;
		return -EINVAL;
	}
	year = digits(p, end, 4);
	month = digits(p + 5, end, 2);
	day = digits(p + 8, end, 2);
	hour = digits(p + 11, end, 2);
	minute = digits(p + 14, end, 2);
	second = digits(p + 17, end, 2);
	p += 19;
	if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
	    second > 59 || day > days_in(year, month) || fraction_parse(&p, end, ns) || offset_parse(p, end, &offset))
		return -EINVAL;
	*s = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset;
	return *s < SCH_SECONDS_MIN || *s > SCH_SECONDS_MAX ? -ERANGE : 0;
}

int sch_zone_parse(const char *p, size_t len, int32_t *seconds)
{
	*seconds = 0;
	if (len == 3 && memcmp(p, "UTC", 3) == 0)
		return 0;
	if (len && ((p[0] >= 'A' && p[0] <= 'Z') || (p[0] >= 'a' && p[0] <= 'z')))
		return -ENOENT;
	if (len == 5 && p[0] != '+' && p[0] != '-') { /* east, as cel-spec's conformance tests have it */
		char signed_text[6] = "+";

		memcpy(signed_text + 1, p, 5);
		return offset_parse(signed_text, signed_text + 6, seconds);
	}
	return len == 6 ? offset_parse(p, p + len, seconds) : -EINVAL;
}

/* The unit at *p in nanoseconds, and after it; 0: none. Micro is written u, or one of two Greek letters. */
static int64_t unit_parse(const char **p, const char *end)
{
	static const struct {
		char text[4];
		int64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 }, { "ms", 1000000 },
		      { "s", SCH_NS }, { "m", 60ll * SCH_NS }, { "h", 3600ll * SCH_NS } };

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		size_t n = strlen(units[i].text);

		if ((size_t)(end - *p) >= n && memcmp(*p, units[i].text, n) == 0) {
			*p += n;
			return units[i].ns;
		}
	}
	return 0;
}

/* One "1.5h" at *p, added to *sum. */
static int duration_part(const char **p, const char *end, __int128 *sum)
{
	__int128 whole = 0, fraction = 0, scale = 1;
	int n = 0;
	int64_t unit;

	for (; *p < end && **p >= '0' && **p <= '9'; ++*p, n++)
		if (whole <= INT64_MAX)
			whole = whole * 10 + (**p - '0');
	if (*p < end && **p == '.')
		for (++*p; *p < end && **p >= '0' && **p <= '9'; ++*p, n++)
			if (scale < (__int128)1000000000000000) {
				scale *= 10;
				fraction = fraction * 10 + (**p - '0');
			}
	unit = n ? unit_parse(p, end) : 0;
	if (!unit)
		return -EINVAL;
	*sum += whole * unit + fraction * unit / scale;
	return *sum > (__int128)INT64_MAX + 1 ? -ERANGE : 0;
}

int sch_duration_parse(const char *p, size_t len, int64_t *ns)
{
	const char *end = p + len;
	int negative = len && *p == '-', rc = 0;
	__int128 sum = 0;

	*ns = 0;
	if (len && (*p == '-' || *p == '+'))
		p++;
	if (p == end)
		return -EINVAL;
	if (end - p == 1 && *p == '0')
		return 0;
	while (p < end) {
		int one = duration_part(&p, end, &sum);

		if (one == -EINVAL)
			return one;
		if (one || rc) {
			rc = -ERANGE;
			sum = 0; /* the rest is only read */
		}
	}
	if (rc || sum > (__int128)INT64_MAX + negative)
		return -ERANGE;
	*ns = (int64_t)(negative ? -sum : sum);
	return 0;
}

/* v as n digits. */
static char *digits_put(char *o, uint64_t v, int n)
{
	for (int i = n; i-- > 0; v /= 10)
		o[i] = (char)('0' + v % 10);
	return o + n;
}

/* ".5", without zeros at its end; nothing for 0. */
static char *fraction_put(char *o, uint32_t ns)
{
	if (!ns)
		return o;
	*o = '.';
	o = digits_put(o + 1, ns, 9);
	while (o[-1] == '0')
		o--;
	return o;
}

size_t sch_time_print(int64_t s, int32_t ns, char out[40])
{
	struct sch_civil c;
	char *o = out;

	sch_civil_of(s, &c);
	o = digits_put(o, (uint64_t)c.year, 4);
	*o++ = '-';
	o = digits_put(o, (uint64_t)c.month, 2);
	*o++ = '-';
	o = digits_put(o, (uint64_t)c.day, 2);
	*o++ = 'T';
	o = digits_put(o, (uint64_t)c.hour, 2);
	*o++ = ':';
	o = digits_put(o, (uint64_t)c.minute, 2);
	*o++ = ':';
	o = digits_put(o, (uint64_t)c.second, 2);
	o = fraction_put(o, (uint32_t)ns);
	*o++ = 'Z';
	return (size_t)(o - out);
}

size_t sch_duration_print(int64_t ns, char out[40])
{
	uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, s = v / SCH_NS;
	char *o = out, *first;

	if (ns < 0)
		*o++ = '-';
	first = o;
	o = digits_put(o, s, 20);
	while (*first == '0' && o - first > 1) {
		memmove(first, first + 1, (size_t)(o - first - 1));
		o--;
	}
	o = fraction_put(o, (uint32_t)(v % SCH_NS));
	*o++ = 's';
	return (size_t)(o - out);
}
