/* policy/name: CertStrToName's grammar, string types and bounds (facts §5). Rows begin with the paragraph
 * they test. */
#include "test.h"

#include <stdio.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "facts.h"
#include "policy/name.h"

#define OID_CN     "2.5.4.3"
#define OID_L      "2.5.4.7"
#define OID_O      "2.5.4.10"
#define OID_OU     "2.5.4.11"
#define OID_E      "1.2.840.113549.1.9.1"
#define OID_C      "2.5.4.6"
#define OID_ST     "2.5.4.8"
#define OID_STREET "2.5.4.9"
#define OID_T      "2.5.4.12"
#define OID_G      "2.5.4.42"
#define OID_I      "2.5.4.43"
#define OID_SN     "2.5.4.4"
#define OID_DC     "0.9.2342.19200300.100.1.25"
#define OID_SER    "2.5.4.5"

/* What a name consists of. */
struct part {
        const char *oid;
        char type; /* P printable, U UTF-8, I IA5; p, u, i: in the RDN of the one before it */
        const char *value;
};

/* An encoder of its own, so that not OpenSSL is compared with itself. Lengths up to 127 octets. */
static size_t put(uint8_t *to, uint8_t tag, const uint8_t *content, size_t len)
{
        assert_true(len < 128);
        memmove(to + 2, content, len);
        to[0] = tag;
        to[1] = (uint8_t)len;
        return len + 2;
}

static size_t put_oid(uint8_t *to, const char *text)
{
        uint64_t arcs[16];
        uint8_t content[64];
        size_t n = 0, len = 0;
        char *end;

        for (const char *p = text; *p; p = *end ? end + 1 : end)
                arcs[n++] = strtoull(p, &end, 10);
        arcs[1] += arcs[0] * 40;
        for (size_t i = 1; i < n; i++)
                for (int shift = 63; shift >= 0; shift -= 7)
                        if (shift == 0 || arcs[i] >> shift)
                                content[len++] = (uint8_t)((arcs[i] >> shift & 0x7f) | (shift ? 0x80 : 0));
        return put(to, V_ASN1_OBJECT, content, len);
}

static size_t put_name(uint8_t *to, const struct part *parts, size_t n)
{
        uint8_t all[512];
        size_t len = 0;

        for (size_t i = 0; i < n && parts[i].oid;) {
                uint8_t set[128];
                size_t set_len = 0;

                do {
                        uint8_t value[128];
                        size_t used = put_oid(value, parts[i].oid);

                        used += put(value + used,
                                    strchr("Pp", parts[i].type)   ? V_ASN1_PRINTABLESTRING
                                    : strchr("Ii", parts[i].type) ? V_ASN1_IA5STRING
                                                                  : V_ASN1_UTF8STRING,
                                    (const uint8_t *)parts[i].value, strlen(parts[i].value));
                        set_len += put(set + set_len, 0x30, value, used);
                } while (++i < n && parts[i].oid && strchr("pui", parts[i].type));
                len += put(all + len, 0x31, set, set_len);
        }
        to[0] = 0x30;
        if (len < 128)
                return put(to, 0x30, all, len);
        to[1] = 0x81;
        to[2] = (uint8_t)len;
        memcpy(to + 3, all, len);
        return len + 3;
}

static void vectors(void **state)
{
        static const struct {
                const char *row, *in;
                struct part parts[8];
        } cases[] = {
                {"5.5 vector 1", "CN=a", {{OID_CN, 'P', "a"}}},
                {"5.5 vector 2, the variable has its value", "CN = pc1text", {{OID_CN, 'P', "pc1text"}}},
                {"5.5 vector 3",
                 "CN=a,E=b@c,OU=Mobile,O=Finance Group,L=Redmond,ST=Washington,C=US",
                 {{OID_CN, 'P', "a"},
                  {OID_E, 'I', "b@c"},
                  {OID_OU, 'P', "Mobile"},
                  {OID_O, 'P', "Finance Group"},
                  {OID_L, 'P', "Redmond"},
                  {OID_ST, 'P', "Washington"},
                  {OID_C, 'P', "US"}}},
                {"5.5 vector 4", "CN=\"Doe, Jane\";O=X", {{OID_CN, 'P', "Doe, Jane"}, {OID_O, 'P', "X"}}},
                {"5.5 vector 5", "CN=\"a \"\"b\"\" c\"", {{OID_CN, 'U', "a \"b\" c"}}},
                {"5.5 vector 6",
                 "CN=a+OU=b,O=c",
                 {{OID_CN, 'P', "a"}, {OID_OU, 'p', "b"}, {OID_O, 'P', "c"}}},
                {"5.5 vector 8", "2.5.4.5=ABC123,CN=x", {{OID_SER, 'P', "ABC123"}, {OID_CN, 'P', "x"}}},
                {"5.1 key CN", "CN=x", {{OID_CN, 'P', "x"}}},
                {"5.1 key CN as cn", "cn=x", {{OID_CN, 'P', "x"}}},
                {"5.1 key CN as Cn", "Cn=x", {{OID_CN, 'P', "x"}}},
                {"5.1 key L", "L=x", {{OID_L, 'P', "x"}}},
                {"5.1 key L as l", "l=x", {{OID_L, 'P', "x"}}},
                {"5.1 key O", "O=x", {{OID_O, 'P', "x"}}},
                {"5.1 key O as o", "o=x", {{OID_O, 'P', "x"}}},
                {"5.1 key OU", "OU=x", {{OID_OU, 'P', "x"}}},
                {"5.1 key OU as ou", "ou=x", {{OID_OU, 'P', "x"}}},
                {"5.1 key OU as Ou", "Ou=x", {{OID_OU, 'P', "x"}}},
                {"5.1 key E", "E=x", {{OID_E, 'I', "x"}}},
                {"5.1 key E as e", "e=x", {{OID_E, 'I', "x"}}},
                {"5.1 key Email", "Email=x", {{OID_E, 'I', "x"}}},
                {"5.1 key Email as EMAIL", "EMAIL=x", {{OID_E, 'I', "x"}}},
                {"5.1 key Email as email", "email=x", {{OID_E, 'I', "x"}}},
                {"5.1 key Email as eMAIL", "eMAIL=x", {{OID_E, 'I', "x"}}},
                {"5.1 key C", "C=de", {{OID_C, 'P', "de"}}},
                {"5.1 key C as c", "c=de", {{OID_C, 'P', "de"}}},
                {"5.1 key S", "S=x", {{OID_ST, 'P', "x"}}},
                {"5.1 key S as s", "s=x", {{OID_ST, 'P', "x"}}},
                {"5.1 key ST", "ST=x", {{OID_ST, 'P', "x"}}},
                {"5.1 key ST as st", "st=x", {{OID_ST, 'P', "x"}}},
                {"5.1 key ST as St", "St=x", {{OID_ST, 'P', "x"}}},
                {"5.1 key SP", "SP=x", {{OID_ST, 'P', "x"}}},
                {"5.1 key SP as sp", "sp=x", {{OID_ST, 'P', "x"}}},
                {"5.1 key SP as Sp", "Sp=x", {{OID_ST, 'P', "x"}}},
                {"5.1 key STREET", "STREET=x", {{OID_STREET, 'P', "x"}}},
                {"5.1 key STREET as street", "street=x", {{OID_STREET, 'P', "x"}}},
                {"5.1 key STREET as Street", "Street=x", {{OID_STREET, 'P', "x"}}},
                {"5.1 key T", "T=x", {{OID_T, 'P', "x"}}},
                {"5.1 key T as t", "t=x", {{OID_T, 'P', "x"}}},
                {"5.1 key Title", "Title=x", {{OID_T, 'P', "x"}}},
                {"5.1 key Title as TITLE", "TITLE=x", {{OID_T, 'P', "x"}}},
                {"5.1 key Title as title", "title=x", {{OID_T, 'P', "x"}}},
                {"5.1 key Title as tITLE", "tITLE=x", {{OID_T, 'P', "x"}}},
                {"5.1 key G", "G=x", {{OID_G, 'P', "x"}}},
                {"5.1 key G as g", "g=x", {{OID_G, 'P', "x"}}},
                {"5.1 key GivenName", "GivenName=x", {{OID_G, 'P', "x"}}},
                {"5.1 key GivenName as GIVENNAME", "GIVENNAME=x", {{OID_G, 'P', "x"}}},
                {"5.1 key GivenName as givenname", "givenname=x", {{OID_G, 'P', "x"}}},
                {"5.1 key GivenName as gIVENnAME", "gIVENnAME=x", {{OID_G, 'P', "x"}}},
                {"5.1 key GivenName as Givenname", "Givenname=x", {{OID_G, 'P', "x"}}},
                {"5.1 key I", "I=x", {{OID_I, 'P', "x"}}},
                {"5.1 key I as i", "i=x", {{OID_I, 'P', "x"}}},
                {"5.1 key Initials", "Initials=x", {{OID_I, 'P', "x"}}},
                {"5.1 key Initials as INITIALS", "INITIALS=x", {{OID_I, 'P', "x"}}},
                {"5.1 key Initials as initials", "initials=x", {{OID_I, 'P', "x"}}},
                {"5.1 key Initials as iNITIALS", "iNITIALS=x", {{OID_I, 'P', "x"}}},
                {"5.1 key SN (surname, not serialNumber)", "SN=x", {{OID_SN, 'P', "x"}}},
                {"5.1 key SN as sn", "sn=x", {{OID_SN, 'P', "x"}}},
                {"5.1 key SN as Sn", "Sn=x", {{OID_SN, 'P', "x"}}},
                {"5.1 key DC", "DC=x", {{OID_DC, 'I', "x"}}},
                {"5.1 key DC as dc", "dc=x", {{OID_DC, 'I', "x"}}},
                {"5.1 key DC as Dc", "Dc=x", {{OID_DC, 'I', "x"}}},
                {"5.1 dotted OID", "1.2.3.4.5=v", {{"1.2.3.4.5", 'P', "v"}}},
                {"5.1 dotted OID, OID. before it", "OID.2.5.4.5=1", {{OID_SER, 'P', "1"}}},
                {"5.1 dotted OID, oid. before it", "oid.2.5.4.5=1", {{OID_SER, 'P', "1"}}},
                {"5.1 dotted OID, oId. before it", "oId.1.2.3=1", {{"1.2.3", 'P', "1"}}},
                {"5.1 dotted OID, Unicode", "1.2.3=\xc3\xbc", {{"1.2.3", 'U', "\xc3\xbc"}}},
                {"5.1 dotted OID of a key: its type", "1.2.840.113549.1.9.1=a@b", {{OID_E, 'I', "a@b"}}},
                {"5.1 dotted OID of DC: its type", "0.9.2342.19200300.100.1.25=x", {{OID_DC, 'I', "x"}}},
                {"5.1 dotted OID of C: its type", "OID.2.5.4.6=FR", {{OID_C, 'P', "FR"}}},
                {"5.1 dotted OID, large arcs", "2.999.4294967295=x", {{"2.999.4294967295", 'P', "x"}}},
                {"5.1 dotted OID, two arcs", "2.5=x", {{"2.5", 'P', "x"}}},
                {"5.1 UID has no short key",
                 "0.9.2342.19200300.100.1.1=u",
                 {{"0.9.2342.19200300.100.1.1", 'P', "u"}}},
                {"5.1 unstructuredName has no short key",
                 "1.2.840.113549.1.9.2=u",
                 {{"1.2.840.113549.1.9.2", 'P', "u"}}},
                {"5.2 Printable: '", "CN=\"a'b\"", {{OID_CN, 'P', "a'b"}}},
                {"5.2 Printable: (", "CN=\"a(b\"", {{OID_CN, 'P', "a(b"}}},
                {"5.2 Printable: )", "CN=\"a)b\"", {{OID_CN, 'P', "a)b"}}},
                {"5.2 Printable: +", "CN=\"a+b\"", {{OID_CN, 'P', "a+b"}}},
                {"5.2 Printable: ,", "CN=\"a,b\"", {{OID_CN, 'P', "a,b"}}},
                {"5.2 Printable: -", "CN=\"a-b\"", {{OID_CN, 'P', "a-b"}}},
                {"5.2 Printable: .", "CN=\"a.b\"", {{OID_CN, 'P', "a.b"}}},
                {"5.2 Printable: /", "CN=\"a/b\"", {{OID_CN, 'P', "a/b"}}},
                {"5.2 Printable: :", "CN=\"a:b\"", {{OID_CN, 'P', "a:b"}}},
                {"5.2 Printable: =", "CN=\"a=b\"", {{OID_CN, 'P', "a=b"}}},
                {"5.2 Printable: ?", "CN=\"a?b\"", {{OID_CN, 'P', "a?b"}}},
                {"5.2 Printable: blank", "CN=\"a b\"", {{OID_CN, 'P', "a b"}}},
                {"5.2 Printable: letters and digits", "CN=AZaz09", {{OID_CN, 'P', "AZaz09"}}},
                {"5.2 not Printable: @", "CN=\"a@b\"", {{OID_CN, 'U', "a@b"}}},
                {"5.2 not Printable: _", "CN=\"a_b\"", {{OID_CN, 'U', "a_b"}}},
                {"5.2 not Printable: &", "CN=\"a&b\"", {{OID_CN, 'U', "a&b"}}},
                {"5.2 not Printable: *", "CN=\"a*b\"", {{OID_CN, 'U', "a*b"}}},
                {"5.2 not Printable: !", "CN=\"a!b\"", {{OID_CN, 'U', "a!b"}}},
                {"5.2 not Printable: #", "CN=\"a#b\"", {{OID_CN, 'U', "a#b"}}},
                {"5.2 not Printable: $", "CN=\"a$b\"", {{OID_CN, 'U', "a$b"}}},
                {"5.2 not Printable: %", "CN=\"a%b\"", {{OID_CN, 'U', "a%b"}}},
                {"5.2 not Printable: ;", "CN=\"a;b\"", {{OID_CN, 'U', "a;b"}}},
                {"5.2 not Printable: <", "CN=\"a<b\"", {{OID_CN, 'U', "a<b"}}},
                {"5.2 not Printable: >", "CN=\"a>b\"", {{OID_CN, 'U', "a>b"}}},
                {"5.2 not Printable: [", "CN=\"a[b\"", {{OID_CN, 'U', "a[b"}}},
                {"5.2 not Printable: ]", "CN=\"a]b\"", {{OID_CN, 'U', "a]b"}}},
                {"5.2 not Printable: ^", "CN=\"a^b\"", {{OID_CN, 'U', "a^b"}}},
                {"5.2 not Printable: `", "CN=\"a`b\"", {{OID_CN, 'U', "a`b"}}},
                {"5.2 not Printable: {", "CN=\"a{b\"", {{OID_CN, 'U', "a{b"}}},
                {"5.2 not Printable: |", "CN=\"a|b\"", {{OID_CN, 'U', "a|b"}}},
                {"5.2 not Printable: }", "CN=\"a}b\"", {{OID_CN, 'U', "a}b"}}},
                {"5.2 not Printable: ~", "CN=\"a~b\"", {{OID_CN, 'U', "a~b"}}},
                {"5.2 not Printable: \\", "CN=\"a\\b\"", {{OID_CN, 'U', "a\\b"}}},
                {"5.2 not Printable: a quote", "CN=\"a\"\"b\"", {{OID_CN, 'U', "a\"b"}}},
                {"5.2 not Printable: umlaut (never T61)",
                 "CN=M\xc3\xbcller",
                 {{OID_CN, 'U', "M\xc3\xbcller"}}},
                {"5.2 not Printable: beyond Latin (never BMP)",
                 "CN=\xe6\xbc\xa2\xe5\xad\x97",
                 {{OID_CN, 'U', "\xe6\xbc\xa2\xe5\xad\x97"}}},
                {"5.2 not Printable: beyond the BMP (never Universal)",
                 "CN=\xf0\x9f\x94\x91",
                 {{OID_CN, 'U', "\xf0\x9f\x94\x91"}}},
                {"5.2 each value its own type", "CN=a_b,O=c", {{OID_CN, 'U', "a_b"}, {OID_O, 'P', "c"}}},
                {"5.1 DC, IA5 though Printable would do",
                 "DC=local,DC=contoso,CN=x",
                 {{OID_DC, 'I', "local"}, {OID_DC, 'I', "contoso"}, {OID_CN, 'P', "x"}}},
                {"5.1 DC, else UTF8",
                 "DC=b\xc3\xbc"
                 "cher,DC=de",
                 {{OID_DC, 'U',
                   "b\xc3\xbc"
                   "cher"},
                  {OID_DC, 'I', "de"}}},
                {"5.1 E, IA5 with signs that Printable lacks", "E=a_b@c", {{OID_E, 'I', "a_b@c"}}},
                {"5.4.4 C, any two letters", "C=zz", {{OID_C, 'P', "zz"}}},
                {"5.2 separators , and ;",
                 "CN=a;O=b,C=DE",
                 {{OID_CN, 'P', "a"}, {OID_O, 'P', "b"}, {OID_C, 'P', "DE"}}},
                {"5.2 order is the order written",
                 "C=DE,O=b,CN=a",
                 {{OID_C, 'P', "DE"}, {OID_O, 'P', "b"}, {OID_CN, 'P', "a"}}},
                {"5.2 the same key again",
                 "OU=a,OU=b,OU=a",
                 {{OID_OU, 'P', "a"}, {OID_OU, 'P', "b"}, {OID_OU, 'P', "a"}}},
                {"5.2 blanks around key, = and value",
                 "  CN  =  a  ,  O  =  b  ",
                 {{OID_CN, 'P', "a"}, {OID_O, 'P', "b"}}},
                {"5.2 tabs around key, = and value",
                 "\x09"
                 "CN\x09=\x09"
                 "a\x09,\x09O=b",
                 {{OID_CN, 'P', "a"}, {OID_O, 'P', "b"}}},
                {"5.2 blanks around a quoted value",
                 "CN = \"a\" , O = \"b\" ",
                 {{OID_CN, 'P', "a"}, {OID_O, 'P', "b"}}},
                {"5.2 blanks around +", "CN=a + OU=b", {{OID_CN, 'P', "a"}, {OID_OU, 'p', "b"}}},
                {"5.2 blanks inside", "CN=a  b", {{OID_CN, 'P', "a  b"}}},
                {"5.2 blanks inside quotes stay", "CN=\"  a  \"", {{OID_CN, 'P', "  a  "}}},
                {"5.2 a blank alone in quotes", "CN=\" \"", {{OID_CN, 'P', " "}}},
                {"5.2 separators at both ends", ",CN=a,", {{OID_CN, 'P', "a"}}},
                {"5.2 separators at both ends, ;", ";;CN=a;;", {{OID_CN, 'P', "a"}}},
                {"5.2 separators doubled, mixed",
                 " ; CN=a ,; O=b , ",
                 {{OID_CN, 'P', "a"}, {OID_O, 'P', "b"}}},
                {"5.2 separators in quotes",
                 "CN=\"a,b;c+d\",O=e",
                 {{OID_CN, 'U', "a,b;c+d"}, {OID_O, 'P', "e"}}},
                {"5.2 = in quotes", "CN=\"a=b\"", {{OID_CN, 'P', "a=b"}}},
                {"5.2 # in quotes is text", "CN=\"#0401\"", {{OID_CN, 'U', "#0401"}}},
                {"5.2 # further on is text", "CN=a#04", {{OID_CN, 'U', "a#04"}}},
                {"5.2 doubled quotes alone", "CN=\"\"\"\"", {{OID_CN, 'U', "\""}}},
                {"5.2 doubled quotes at both ends", "CN=\"\"\"a\"\"\"", {{OID_CN, 'U', "\"a\""}}},
                {"5.2 doubled quotes, twice", "CN=\"a\"\"\"\"\"", {{OID_CN, 'U', "a\"\""}}},
                {"5.2 a separator behind doubled quotes", "CN=\"a\"\",b\"", {{OID_CN, 'U', "a\",b"}}},
                {"5.2 backslash is an ordinary character", "CN=a\\b", {{OID_CN, 'U', "a\\b"}}},
                {"5.2 backslash before a quote's end",
                 "CN=\"a\\\",O=b",
                 {{OID_CN, 'U', "a\\"}, {OID_O, 'P', "b"}}},
                {"5.2 backslash at the end of a value", "CN=a\\", {{OID_CN, 'U', "a\\"}}},
                {"5.4.5 + in quotes", "CN=\"a+b@c\"", {{OID_CN, 'U', "a+b@c"}}},
                {"5.4.13 a trailing blank of an unquoted value is lost",
                 "CN=a ,O=b",
                 {{OID_CN, 'P', "a"}, {OID_O, 'P', "b"}}},
                {"5.2 multi-valued, sorted by DER",
                 "OU=b+CN=a,O=c",
                 {{OID_CN, 'P', "a"}, {OID_OU, 'p', "b"}, {OID_O, 'P', "c"}}},
                {"5.2 multi-valued, shorter first",
                 "CN=aaa+OU=b",
                 {{OID_OU, 'P', "b"}, {OID_CN, 'p', "aaa"}}},
                {"5.2 multi-valued, the same key", "CN=b+CN=a", {{OID_CN, 'P', "a"}, {OID_CN, 'p', "b"}}},
                {"5.2 multi-valued, by string type",
                 "CN=b_+OU=a_",
                 {{OID_CN, 'U', "b_"}, {OID_OU, 'u', "a_"}}},
                {"5.2 multi-valued, three",
                 "OU=c+CN=a+O=b,C=DE",
                 {{OID_CN, 'P', "a"}, {OID_O, 'p', "b"}, {OID_OU, 'p', "c"}, {OID_C, 'P', "DE"}}},
                {"5.2 multi-valued, two of them",
                 "CN=a+OU=b,L=d+O=c",
                 {{OID_CN, 'P', "a"}, {OID_OU, 'p', "b"}, {OID_L, 'P', "d"}, {OID_O, 'p', "c"}}},
                {"5.2 multi-valued, quoted",
                 "CN=\"a\"+OU=\"b;c\"",
                 {{OID_CN, 'P', "a"}, {OID_OU, 'u', "b;c"}}},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct name name = {0};
                struct bytes der = {0};
                uint8_t wanted[600];
                size_t len = put_name(wanted, cases[i].parts, N_ELEMENTS(cases[i].parts));

                if (name_parse(cases[i].in, &name, &e) || name_der(&name, &der, &e))
                        fail_msg("%s: %s", cases[i].row, e.message);
                if (der.len != len || memcmp(der.data, wanted, len) != 0) {
                        char *hex = malloc(2 * der.len + 1), *other = malloc(2 * len + 1);

                        hex_encode(bytes_view(&der), hex);
                        hex_encode((struct view){wanted, len}, other);
                        fail_msg("%s: %s instead of %s", cases[i].row, hex, other);
                }
                bytes_done(&der);
                name_done(&name);
        }
        assert_true(N_ELEMENTS(cases) >= 10 + 60);
}

static void refusals(void **state)
{
        static const struct {
                const char *row, *in;
                size_t position; /* 0: no position in the message */
                const char *says;
        } cases[] = {
                {"5.5 vector 9", "CN=Doe\\, Jane", 10, "the backslash before it escapes nothing"},
                {"5.5 vector 10", "CN=a=b", 5, "quotes"},
                {"5.2 empty", "", 1, "empty"},
                {"5.2 blanks alone", "   ", 1, "empty"},
                {"5.2 separators alone", ";;", 1, "empty"},
                {"5.2 a key alone", "CN", 1, "a key and '='"},
                {"5.2 no key", "=a", 1, "the key is missing"},
                {"5.2 no key, blanks", "  =a", 3, "the key is missing"},
                {"5.1 an unknown key", "XX=a", 1, "not known"},
                {"5.1 an unknown key, later", "CN=a,XX=b", 6, "not known"},
                {"5.1 serialNumber has no short key", "serialNumber=1", 1, "not known"},
                {"5.1 UID has no short key", "UID=a", 1, "not known"},
                {"5.1 a key with a blank inside", "Given Name=a", 1, "not known"},
                {"5.1 OID. before a short key", "OID.CN=a", 1, "not known"},
                {"5.1 OID. before nothing", "OID.=a", 1, "not known"},
                {"5.1 first arc", "3.1=a", 1, "not known"},
                {"5.1 second arc", "1.40=a", 1, "not known"},
                {"5.1 a leading zero", "1.02=a", 1, "not known"},
                {"5.1 one arc", "1=a", 1, "not known"},
                {"5.1 an empty arc", "1..2=a", 1, "not known"},
                {"5.1 an empty arc at the end", "1.2.=a", 1, "not known"},
                {"5.1 an arc too large", "1.2.99999999999=a", 1, "not known"},
                {"5.1 an arc just too large", "1.2.4294967296=a", 1, "not known"},
                {"5.4.8 empty value", "CN=", 4, "empty"},
                {"5.4.8 empty value, blanks", "CN=  ,O=a", 6, "empty"},
                {"5.4.8 empty value in quotes", "CN=\"\"", 4, "empty"},
                {"5.4.8 empty value before +", "CN=+O=b", 4, "empty"},
                {"5.2 a token without a key", "CN=a,b", 6, "a key and '='"},
                {"5.2 a token without a key, unquoted ,", "CN=a'(),-./:?", 9, "a key and '='"},
                {"5.2 an open quote", "CN=\"a", 4, "never closed"},
                {"5.2 an open quote, doubled at the end", "CN=\"a\"\"", 4, "never closed"},
                {"5.2 text behind a quote", "CN=\"a\"b", 7, "a separator"},
                {"5.2 a quote behind a quote", "CN=\"a\" \"b\"", 8, "a separator"},
                {"5.2 a quote inside", "CN=a\"b", 5, "doubled"},
                {"5.4.7 = in the second value", "CN=a,O=b=c", 9, "quotes"},
                {"5.4.7 = behind a blank", "CN=a =b", 6, "quotes"},
                {"5.4.5 + opens an RDN", "CN=a+b@c", 6, "a key and '='"},
                {"5.2 + at the end", "CN=a+", 6, "behind '+'"},
                {"5.2 + at the end, blanks", "CN=a + ", 8, "behind '+'"},
                {"5.2 + at the beginning", "+CN=a", 1, "a key and '='"},
                {"5.2 + and a separator", "CN=a+,O=b", 6, "a key and '='"},
                {"5.2 + doubled", "CN=a++O=b", 6, "a key and '='"},
                {"5.4.6 # and nothing", "CN=#", 4, "hexadecimal"},
                {"5.4.6 # and one digit", "CN=#0", 4, "hexadecimal"},
                {"5.4.6 # and text", "CN=#123abcx", 4, "hexadecimal"},
                {"5.4.6 # and colons", "CN=#01:02", 4, "hexadecimal"},
                {"5.4.6 # before a key", "#CN=a", 1, "a key and '='"},
                {"5.2 backslash before ,", "CN=a\\,b", 7, "escapes nothing"},
                {"5.2 backslash before ;", "CN=a\\;b", 7, "escapes nothing"},
                {"5.2 backslash before +", "CN=a\\+b", 7, "escapes nothing"},
                {"5.2 backslash before =", "CN=a\\=b", 6, "quotes"},
                {"control character", "CN=a\x01", 5, "control"},
                {"control character: delete", "CN=a\x7f", 5, "control"},
                {"5.3 line ends need a flag", "CN=a\nO=b", 5, "control"},
                {"5.3 positions count characters", "CN=\xc3\xbc\xe6\xbc\xa2,XX=b", 7, "not known"},
                {"UTF-8, broken", "CN=\xff", 0, "UTF-8"},
                {"UTF-8, overlong", "CN=\xc0\xaf", 0, "UTF-8"},
                {"UTF-8, a surrogate", "CN=\xed\xa0\x80", 0, "UTF-8"},
                {"UTF-8, cut", "CN=\xc3", 0, "UTF-8"},
        };
        char long_name[NAME_TEXT_MAX + 10];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct name name = {0};
                char wanted[40];

                expect_err(name_parse(cases[i].in, &name, &e), ERR_PROFILE);
                snprintf(wanted, sizeof wanted, "at character %zu:", cases[i].position);
                if ((cases[i].position && !strstr(e.message, wanted)) || !strstr(e.message, cases[i].says))
                        fail_msg("%s: wanted %s %s in: %s", cases[i].row, wanted, cases[i].says, e.message);
                assert_null(name.avas);
        }
        memset(long_name, 'a', sizeof long_name);
        memcpy(long_name, "CN=", 3);
        long_name[sizeof long_name - 1] = 0;
        struct error e = {0};
        struct name name = {0};

        expect_err(name_parse(long_name, &name, &e), ERR_TOO_LARGE);
        char many[8 * NAME_AVAS_MAX] = "";
        for (int i = 0; i <= NAME_AVAS_MAX; i++)
                strcat(many, "CN=a,");
        expect_err(name_parse(many, &name, &e), ERR_TOO_LARGE);
}

/* Parses, but no certificate may hold it. */
static void values(void **state)
{
        static const struct {
                const char *row, *in;
        } refused[] = {
                {"5.4.4 C of three letters", "C=usa"},
                {"5.4.4 C of one letter", "C=d"},
                {"5.4.4 C with a digit", "C=d1"},
                {"5.4.4 C of digits", "C=12"},
                {"5.4.4 C beyond ASCII", "C=D\xc3\x9c"},
                {"5.4.4 C with a blank", "C=\"a \""},
                {"5.4.4 C by its OID", "2.5.4.6=usa"},
                {"5.4.3 E beyond ASCII", "E=m\xc3\xbcller@x"},
                {"5.4.3 Email beyond ASCII", "Email=a@m\xc3\xbcller"},
                {"5.4.3 E by its OID", "1.2.840.113549.1.9.1=\xc3\xbc"},
        };
        /* 5.4.9; the last four are ours */
        static const struct {
                const char *key;
                size_t max;
        } bounds[] = {{"CN", 64},        {"O", 64},       {"OU", 64},      {"T", 64},
                      {"Title", 64},     {"2.5.4.5", 64}, {"L", 128},      {"S", 128},
                      {"ST", 128},       {"SP", 128},     {"E", 255},      {"Email", 255},
                      {"2.5.4.65", 128}, {"STREET", 128}, {"2.5.4.3", 64}, {"OID.2.5.4.10", 64},
                      {"G", 1024},       {"SN", 1024},    {"DC", 1024},    {"1.2.3", 1024}};
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(refused); i++) {
                struct name name = {0};
                struct bytes der = {0};

                expect_ok(name_parse(refused[i].in, &name, &e));
                if (name_der(&name, &der, &e) != ERR_PROFILE)
                        fail_msg("%s", refused[i].row);
                name_done(&name);
        }
        for (size_t i = 0; i < N_ELEMENTS(bounds); i++)
                for (size_t more = 0; more < 2; more++) {
                        char text[2048];
                        size_t n = (size_t)snprintf(text, sizeof text, "%s=", bounds[i].key);
                        struct name name = {0};
                        struct bytes der = {0};

                        memset(text + n, 'x', bounds[i].max + more);
                        text[n + bounds[i].max + more] = 0;
                        expect_ok(name_parse(text, &name, &e));
                        if (more)
                                expect_err(name_der(&name, &der, &e), ERR_PROFILE);
                        else
                                expect_ok(name_der(&name, &der, &e));
                        bytes_done(&der);
                        name_done(&name);
                }
        /* bounds count characters, not octets */
        for (int n = 64; n <= 65; n++) {
                struct name name = {0};
                struct bytes der = {0};
                char umlauts[3 + 2 * 65 + 1] = "CN=";

                for (int i = 0; i < n; i++)
                        strcat(umlauts, "\xc3\xbc");
                expect_ok(name_parse(umlauts, &name, &e));
                if (n == 64)
                        expect_ok(name_der(&name, &der, &e));
                else
                        expect_err(name_der(&name, &der, &e), ERR_PROFILE);
                bytes_done(&der);
                name_done(&name);
        }
}

/* 5.5 vector 2, and values that would be syntax: each stays one value of one RDN. */
static void variable_values(void **state)
{
        static const struct {
                const char *row, *in, *value;
                struct part parts[3];
        } cases[] = {
                {"5.5 vector 2", "CN = {{DeviceName}}text", "pc1", {{OID_CN, 'P', "pc1text"}}},
                {"a separator",
                 "CN={{DeviceName}},O=o",
                 "a,O=b",
                 {{OID_CN, 'P', "a,O=b"}, {OID_O, 'P', "o"}}},
                {"a separator, ;", "CN={{DeviceName}}", "a;O=b", {{OID_CN, 'U', "a;O=b"}}},
                {"+", "CN={{DeviceName}}", "a+OU=b", {{OID_CN, 'P', "a+OU=b"}}},
                {"quotes", "CN={{DeviceName}}", "\"a\",O=b", {{OID_CN, 'U', "\"a\",O=b"}}},
                {"doubled quotes stay doubled", "CN={{DeviceName}}", "a\"\"b", {{OID_CN, 'U', "a\"\"b"}}},
                {"in quotes", "CN=\"{{DeviceName}}, x\"", "a\"b", {{OID_CN, 'U', "a\"b, x"}}},
                {"=", "CN={{DeviceName}}", "a=b", {{OID_CN, 'P', "a=b"}}},
                {"# is text", "CN={{DeviceName}}", "#0401", {{OID_CN, 'U', "#0401"}}},
                {"backslash", "CN={{DeviceName}}", "a\\,b", {{OID_CN, 'U', "a\\,b"}}},
                {"a variable in a value is text",
                 "CN={{DeviceName}}",
                 "{{UserName}}",
                 {{OID_CN, 'U', "{{UserName}}"}}},
                {"4.5 blanks around are lost", "CN={{DeviceName}}", "  a b ", {{OID_CN, 'P', "a b"}}},
                {"4.5 names have no case", "CN={{DEVICENAME}}-{{devicename}}", "a", {{OID_CN, 'P', "a-a"}}},
                {"4.5 blanks inside the braces", "CN={{ DeviceName }}", "a", {{OID_CN, 'P', "a"}}},
                {"beyond ASCII", "CN={{DeviceName}}", "\xc3\xbc", {{OID_CN, 'U', "\xc3\xbc"}}},
                {"in two parts of one RDN",
                 "CN={{DeviceName}}+OU={{DeviceName}}",
                 "a",
                 {{OID_CN, 'P', "a"}, {OID_OU, 'p', "a"}}},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct fake_facts fake = {.values = {[FACT_DEVICE_NAME] = cases[i].value}};
                const struct facts facts = {&fake, fake_get};
                struct error e = {0};
                struct name name = {0};
                struct bytes der = {0};
                uint8_t wanted[600];
                size_t len = put_name(wanted, cases[i].parts, N_ELEMENTS(cases[i].parts));

                if (name_parse(cases[i].in, &name, &e) || name_expand(&name, &facts, &e) ||
                    name_der(&name, &der, &e))
                        fail_msg("%s: %s", cases[i].row, e.message);
                if (der.len != len || memcmp(der.data, wanted, len) != 0)
                        fail_msg("%s", cases[i].row);
                bytes_done(&der);
                name_done(&name);
        }
}

/* 5.5 vector 7: #hex is understood, and refused by name where it would have to be encoded. */
static void octets(void **state)
{
        static const struct {
                const char *in;
                size_t len;
        } cases[] = {{"CN=#04 01 ff", 3}, {"CN=#0401FF,O=x", 3}, {"CN= #ff ;O=x", 1}, {"CN=#00+O=x", 1}};
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct name name = {0};
                struct bytes der = {0};

                expect_ok(name_parse(cases[i].in, &name, &e));
                assert_true(name.avas[0].hex);
                assert_int_equal(name.avas[0].octets.len, cases[i].len);
                assert_memory_equal(name.avas[0].octets.data,
                                    i < 2    ? "\x04\x01\xff"
                                    : i == 2 ? "\xff"
                                             : "\x00",
                                    cases[i].len);
                expect_err(name_der(&name, &der, &e), ERR_UNSUPPORTED);
                assert_non_null(strstr(e.message, "CN=#"));
                name_done(&name);
        }
}

/* The bytes openssl req -subj makes, but for the string type. */
static void der_octets(void **state)
{
        static const uint8_t wanted[] = {0x30, 0x1b, 0x31, 0x0a, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04,
                                         0x03, 0x13, 0x01, 'a',  0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03,
                                         0x55, 0x04, 0x0a, 0x13, 0x04, 'a',  'c',  'm',  'e'};
        struct error e = {0};
        struct name name = {0};
        struct bytes der = {0};

        (void)state;
        expect_ok(name_parse("CN=a,O=acme", &name, &e));
        expect_ok(name_der(&name, &der, &e));
        assert_int_equal(der.len, sizeof wanted);
        assert_memory_equal(der.data, wanted, sizeof wanted);
        bytes_done(&der);
        name_done(&name);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(vectors),         cmocka_unit_test(refusals), cmocka_unit_test(values),
                cmocka_unit_test(variable_values), cmocka_unit_test(octets),   cmocka_unit_test(der_octets),
        };

        return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
