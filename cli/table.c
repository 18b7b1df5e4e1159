#include "cli/table.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

/* One character at @s: its octets (at least 1), and its code; bad octets are U+FFFD, one at a time. */
static size_t next_char(const char *s, uint32_t *ret)
{
        const uint8_t *p = (const uint8_t *)s;
        size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
        uint32_t c = n == 1 ? p[0] : n ? p[0] & (0x7fu >> n) : 0;

        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80) {
                        n = 0;
                        break;
                }
                c = c << 6 | (p[i] & 0x3f);
        }
        *ret = n ? c : 0xfffd;
        return n ? n : 1;
}

static bool is_control(uint32_t c)
{
        return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

size_t text_width(const char *s)
{
        size_t width = 0;

        while (*s) {
                uint32_t c;
                int w;

                s += next_char(s, &c);
                /* -1 for what this locale cannot show, where the terminal still shows something. */
                w = is_control(c) ? 1 : wcwidth((wchar_t)c);
                width += w < 0 ? 1 : (size_t)w;
        }
        return width;
}

char *text_printable(const char *s)
{
        char *copy = malloc(strlen(s) + 1), *to = copy;

        if (!copy)
                return NULL;
        while (*s) {
                uint32_t c;
                size_t n = next_char(s, &c);

                if (is_control(c) || c == 0xfffd) {
                        *to++ = '?';
                } else {
                        memcpy(to, s, n);
                        to += n;
                }
                s += n;
        }
        *to = 0;
        return copy;
}

const char *color_on(enum color color)
{
        static const char *const on[_COLOR_MAX] = {"", "\x1b[32m", "\x1b[33m", "\x1b[31m"};

        return on[color];
}

const char *color_off(enum color color)
{
        return color == COLOR_NONE ? "" : "\x1b[0m";
}

enum color color_of_state(const char *state)
{
        static const struct {
                const char *state;
                enum color color;
        } states[] = {
                {"valid", COLOR_GOOD},
                {"ready", COLOR_GOOD},
                {"expiring", COLOR_WARN},
                {"pending", COLOR_WARN},
                {"waiting-for-user", COLOR_WARN},
                {"needs-challenge", COLOR_WARN},
                {"apply-pending", COLOR_WARN},
                {"expired", COLOR_BAD},
                {"revoked", COLOR_BAD},
                {"failed", COLOR_BAD},
        };

        for (size_t i = 0; i < N_ELEMENTS(states); i++)
                if (strcmp(states[i].state, state) == 0)
                        return states[i].color;
        return COLOR_NONE;
}

void table_init_plain(struct table *t, size_t columns)
{
        *t = (struct table){.columns = columns};
}

void table_init(struct table *t, const char *const *headers)
{
        size_t n = 0;

        while (headers[n])
                n++;
        table_init_plain(t, n);
        for (size_t i = 0; i < n; i++)
                table_add(t, headers[i], COLOR_NONE);
}

void table_add(struct table *t, const char *text, enum color color)
{
        if (t->failed)
                return;
        if (t->cells == t->size) {
                size_t size = t->size ? t->size * 2 : 32;
                struct table_cell *cell = reallocarray(t->cell, size, sizeof *cell);

                if (!cell) {
                        t->failed = ERR_NO_MEMORY;
                        return;
                }
                t->cell = cell;
                t->size = size;
        }
        t->cell[t->cells].text = text_printable(text && *text ? text : "-");
        t->cell[t->cells].color = color;
        if (t->cell[t->cells].text)
                t->cells++;
        else
                t->failed = ERR_NO_MEMORY;
}

enum err table_print(const struct table *t, FILE *out, bool color, struct error *e)
{
        size_t width[TABLE_COLUMNS] = {0};

        if (t->failed)
                return error_no_memory(e);
        for (size_t i = 0; i < t->cells; i++) {
                size_t w = text_width(t->cell[i].text);

                if (w > width[i % t->columns])
                        width[i % t->columns] = w;
        }
        for (size_t i = 0; i < t->cells; i++) {
                const struct table_cell *cell = &t->cell[i];
                size_t column = i % t->columns;
                enum color c = color ? cell->color : COLOR_NONE;

                fprintf(out, "%s%s%s", color_on(c), cell->text, color_off(c));
                /* Nothing trails the last column, so that lines can be copied. */
                if (column + 1 == t->columns)
                        fputc('\n', out);
                else
                        fprintf(out, "%*s", (int)(width[column] - text_width(cell->text) + 2), "");
        }
        return ERR_OK;
}

void table_done(struct table *t)
{
        for (size_t i = 0; i < t->cells; i++)
                free(t->cell[i].text);
        free(t->cell);
        *t = (struct table){0};
}
