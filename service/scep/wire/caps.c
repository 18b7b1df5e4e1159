#include "scep-wire/caps.h"

#include <string.h>
#include <strings.h>

static const struct {
        const char *word;
        uint32_t flag;
} words[] = {
        {"AES", SCEP_CAP_AES},
        {"DES3", SCEP_CAP_DES3},
        {"DES", SCEP_CAP_DES},
        {"GetNextCACert", SCEP_CAP_GET_NEXT_CA},
        {"POSTPKIOperation", SCEP_CAP_POST},
        {"Renewal", SCEP_CAP_RENEWAL},
        {"SHA-1", SCEP_CAP_SHA1},
        {"SHA-256", SCEP_CAP_SHA256},
        {"SHA-384", SCEP_CAP_SHA384},
        {"SHA-512", SCEP_CAP_SHA512},
        {"SCEPStandard", SCEP_CAP_STANDARD},
};

uint32_t caps_word(const char *word, size_t len)
{
        for (size_t i = 0; i < N_ELEMENTS(words); i++)
                if (strlen(words[i].word) == len && strncasecmp(words[i].word, word, len) == 0)
                        return words[i].flag;
        return 0;
}

const char *caps_name(uint32_t flags)
{
        for (size_t i = 0; i < N_ELEMENTS(words); i++)
                if (flags & words[i].flag)
                        return words[i].word;
        return "";
}

static bool is_blank(uint8_t c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool body_is_page(struct view body)
{
        static const uint8_t bom[] = {0xef, 0xbb, 0xbf};
        size_t i = body.len >= sizeof bom && memcmp(body.data, bom, sizeof bom) == 0 ? sizeof bom : 0;

        while (i < body.len && is_blank(body.data[i]))
                i++;
        return i < body.len && body.data[i] == '<';
}

/* Keeps a word for people to read: printable ASCII, as much as fits. */
static void keep_word(struct scep_caps *caps, size_t *used, const uint8_t *word, size_t len)
{
        if (*used + (*used > 0) + len >= sizeof caps->text)
                return;
        if (*used)
                caps->text[(*used)++] = ' ';
        for (size_t i = 0; i < len; i++)
                caps->text[(*used)++] = word[i] > ' ' && word[i] < 0x7f ? (char)word[i] : '?';
        caps->text[*used] = 0;
}

enum err caps_parse(struct view body, struct scep_caps *ret, struct error *e)
{
        struct scep_caps caps = {0};
        size_t used = 0;

        if (body.len > SCEP_CAPS_BODY_MAX)
                return error_set(e, ERR_TOO_LARGE,
                                 "The server's list of capabilities is larger than %d octets",
                                 SCEP_CAPS_BODY_MAX);
        if (body_is_page(body))
                return error_set(e, ERR_REPLY, "The server answered GetCACaps with a web page");
        for (size_t i = 0; i < body.len;) {
                size_t start = i;

                while (i < body.len && !is_blank(body.data[i]))
                        i++;
                if (i > start) {
                        caps.flags |= caps_word((const char *)body.data + start, i - start);
                        keep_word(&caps, &used, body.data + start, i - start);
                }
                while (i < body.len && is_blank(body.data[i]))
                        i++;
        }
        if (caps.flags & SCEP_CAP_STANDARD)
                caps.flags |= SCEP_CAP_AES | SCEP_CAP_POST | SCEP_CAP_SHA256;
        *ret = caps;
        return ERR_OK;
}
