#include "base/parse.h"

#include <string.h>
#include <strings.h>

bool parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
        uint64_t v = 0;

        if (!*s)
                return false;
        for (; *s; s++) {
                unsigned digit = (unsigned)(*s - '0');

                if (*s < '0' || *s > '9' || v > (max - digit) / 10 || digit > max)
                        return false;
                v = v * 10 + digit;
        }
        if (v > max)
                return false;
        *ret = v;
        return true;
}

bool parse_bool(const char *s, bool *ret)
{
        static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off",
                                                                                    "0"};

        for (size_t i = 0; i < N_ELEMENTS(yes); i++) {
                if (strcasecmp(s, yes[i]) == 0 || strcasecmp(s, no[i]) == 0) {
                        *ret = strcasecmp(s, yes[i]) == 0;
                        return true;
                }
        }
        return false;
}

void hex_encode(struct view v, char *ret)
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < v.len; i++) {
                *ret++ = digits[v.data[i] >> 4];
                *ret++ = digits[v.data[i] & 15];
        }
        *ret = 0;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

bool hex_decode(const char *s, uint8_t *ret, size_t size, size_t *ret_len)
{
        size_t len = 0;

        while (*s) {
                int high, low;

                if (*s == ' ' || *s == ':') {
                        s++;
                        continue;
                }
                high = hex_digit(s[0]);
                low = high < 0 ? -1 : hex_digit(s[1]);
                if (low < 0 || len == size)
                        return false;
                ret[len++] = (uint8_t)(high << 4 | low);
                s += 2;
        }
        *ret_len = len;
        return true;
}

bool is_lower_hex(const char *s, size_t digits)
{
        return strlen(s) == digits && strspn(s, "0123456789abcdef") == digits;
}

/* Length of the UTF-8 sequence at @p (1 to 4), 0 if there is none. Unicode 15, table 3-7. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
        size_t n;
        uint8_t low = 0x80, high = 0xbf;

        if (p[0] < 0x80)
                return 1;
        if (p[0] >= 0xc2 && p[0] <= 0xdf)
                n = 2;
        else if (p[0] >= 0xe0 && p[0] <= 0xef)
                n = 3;
        else if (p[0] >= 0xf0 && p[0] <= 0xf4)
                n = 4;
        else
                return 0;
        if (left < n)
                return 0;
        if (p[0] == 0xe0)
                low = 0xa0;
        else if (p[0] == 0xed)
                high = 0x9f;
        else if (p[0] == 0xf0)
                low = 0x90;
        else if (p[0] == 0xf4)
                high = 0x8f;
        if (p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (p[i] < 0x80 || p[i] > 0xbf)
                        return 0;
        return n;
}

/* Eight octets of ASCII without a NUL, which is what documents consist of. */
static bool eight_plain(const uint8_t *p)
{
        const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
        uint64_t w;

        memcpy(&w, p, sizeof w);
        return ((w | (w - ones)) & highs) == 0;
}

bool utf8_valid(struct view v)
{
        for (size_t i = 0; i < v.len;) {
                size_t n;

                if (v.len - i >= 8 && eight_plain(v.data + i)) {
                        i += 8;
                        continue;
                }
                n = v.data[i] ? utf8_sequence(v.data + i, v.len - i) : 0;
                if (!n)
                        return false;
                i += n;
        }
        return true;
}

void utf8_scrub(char *text, size_t size)
{
        size_t len = strnlen(text, size ? size - 1 : 0);
        uint8_t *p = (uint8_t *)text;

        if (!size)
                return;
        text[len] = 0;
        for (size_t i = 0; i < len;) {
                size_t n = utf8_sequence(p + i, len - i);

                if (!n && len - i < 4 && p[i] >= 0xc2) {
                        bool cut = true;

                        for (size_t j = i + 1; j < len; j++)
                                cut = cut && p[j] >= 0x80 && p[j] <= 0xbf;
                        if (cut) {
                                p[i] = 0;
                                return;
                        }
                }
                if (!n) {
                        p[i] = '?';
                        n = 1;
                }
                i += n;
        }
}

void line_scrub(char *text, size_t size)
{
        utf8_scrub(text, size);
        for (char *p = text; size && *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        *p = ' ';
}

size_t utf8_count(const char *from, const char *to)
{
        size_t n = 0;

        for (; from < to; from++)
                n += ((unsigned char)*from & 0xc0) != 0x80;
        return n;
}
