/* policy/name: CertStrToName's grammar, string types and bounds (facts §5). */
#include "test.h"

#include <stdio.h>

#include "base/ossl.h"
#include "policy/name.h"

/* One RDN after the other: "oid=T:value", joined ones with '+'. T: P printable, U UTF-8, I IA5. */
static void describe(const struct bytes *der, char *ret, size_t size)
{
        const unsigned char *p = der->data;
        X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)der->len);
        size_t n = 0;
        int set = -1;

        assert_non_null(name);
        assert_ptr_equal(p, der->data + der->len);
        ret[0] = 0;
        for (int i = 0; i < X509_NAME_entry_count(name); i++) {
                X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
                const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
                char oid[64];
                const char *type = "?";

                OBJ_obj2txt(oid, sizeof oid, X509_NAME_ENTRY_get_object(entry), 1);
                switch (ASN1_STRING_type(value)) {
                case V_ASN1_PRINTABLESTRING:
                        type = "P";
                        break;
                case V_ASN1_UTF8STRING:
                        type = "U";
                        break;
                case V_ASN1_IA5STRING:
                        type = "I";
                        break;
                }
                n += (size_t)snprintf(ret + n, size - n, "%s%s=%s:",
                                      i == 0                              ? ""
                                      : X509_NAME_ENTRY_set(entry) == set ? "+"
                                                                          : "|",
                                      oid, type);
                n += (size_t)snprintf(ret + n, size - n, "%.*s", ASN1_STRING_length(value),
                                      (const char *)ASN1_STRING_get0_data(value));
                set = X509_NAME_ENTRY_set(entry);
        }
        X509_NAME_free(name);
}

static void vectors(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"CN=a", "2.5.4.3=P:a"},
                {"CN = pc1text", "2.5.4.3=P:pc1text"},
                {"CN=a,E=b@c,OU=Mobile,O=Finance Group,L=Redmond,ST=Washington,C=US",
                 "2.5.4.3=P:a|1.2.840.113549.1.9.1=I:b@c|2.5.4.11=P:Mobile|2.5.4.10=P:Finance "
                 "Group|2.5.4.7=P:Redmond|"
                 "2.5.4.8=P:Washington|2.5.4.6=P:US"},
                {"CN=\"Doe, Jane\";O=X", "2.5.4.3=P:Doe, Jane|2.5.4.10=P:X"},
                {"CN=\"a \"\"b\"\" c\"", "2.5.4.3=U:a \"b\" c"},
                {"CN=a+OU=b,O=c", "2.5.4.3=P:a+2.5.4.11=P:b|2.5.4.10=P:c"},
                {"OU=b+CN=a,O=c", "2.5.4.3=P:a+2.5.4.11=P:b|2.5.4.10=P:c"}, /* SET OF: sorted by DER */
                {"2.5.4.5=ABC123,CN=x", "2.5.4.5=P:ABC123|2.5.4.3=P:x"},
                {"OID.2.5.4.5=1", "2.5.4.5=P:1"},
                {"oid.2.5.4.5=1", "2.5.4.5=P:1"},
                {"cn=a;ou=b", "2.5.4.3=P:a|2.5.4.11=P:b"},
                {"Cn=a , o=b", "2.5.4.3=P:a|2.5.4.10=P:b"},
                {",CN=a,", "2.5.4.3=P:a"},
                {" ; CN=a ;; O=b ; ", "2.5.4.3=P:a|2.5.4.10=P:b"},
                {"CN=a;O=b;C=DE", "2.5.4.3=P:a|2.5.4.10=P:b|2.5.4.6=P:DE"},
                {"DC=local,DC=contoso,CN=x",
                 "0.9.2342.19200300.100.1.25=I:local|0.9.2342.19200300.100.1.25=I:contoso|"
                 "2.5.4.3=P:x"},
                {"CN=a@b", "2.5.4.3=U:a@b"},
                {"CN=a_b", "2.5.4.3=U:a_b"},
                {"CN=a&b", "2.5.4.3=U:a&b"},
                {"CN=a*b", "2.5.4.3=U:a*b"},
                {"CN=M\xc3\xbcller", "2.5.4.3=U:M\xc3\xbcller"},
                {"CN=\"a'()+,-./:=?\"", "2.5.4.3=P:a'()+,-./:=?"},
                {"CN=\" a \"", "2.5.4.3=P: a "},
                {"CN=  a  ", "2.5.4.3=P:a"},
                {"CN=a  b", "2.5.4.3=P:a  b"},
                {"CN=\"#123\"", "2.5.4.3=U:#123"},
                {"CN=a#b", "2.5.4.3=U:a#b"},
                {"CN=a\\b", "2.5.4.3=U:a\\b"}, /* backslash is an ordinary character */
                {"SN=Doe", "2.5.4.4=P:Doe"},   /* surname, not serialNumber */
                {"S=Bavaria", "2.5.4.8=P:Bavaria"},
                {"SP=Bavaria", "2.5.4.8=P:Bavaria"},
                {"STREET=Main 1", "2.5.4.9=P:Main 1"},
                {"T=Dr", "2.5.4.12=P:Dr"},
                {"Title=Dr", "2.5.4.12=P:Dr"},
                {"G=Jane", "2.5.4.42=P:Jane"},
                {"GivenName=Jane", "2.5.4.42=P:Jane"},
                {"I=J", "2.5.4.43=P:J"},
                {"Initials=J", "2.5.4.43=P:J"},
                {"Email=x@y.z", "1.2.840.113549.1.9.1=I:x@y.z"},
                {"1.2.3.4.5=v", "1.2.3.4.5=P:v"},
                {"0.9.2342.19200300.100.1.1=uid", "0.9.2342.19200300.100.1.1=P:uid"},
                {"C=de", "2.5.4.6=P:de"},
                {"CN=\"a\"+OU=\"b;c\"", "2.5.4.3=P:a+2.5.4.11=U:b;c"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct name name = {0};
                struct bytes der = {0};
                char text[1024];

                expect_ok(name_parse(cases[i].in, &name, &e));
                expect_ok(name_der(&name, &der, &e));
                describe(&der, text, sizeof text);
                assert_string_equal(text, cases[i].out);
                bytes_done(&der);
                name_done(&name);
        }
}

static void refusals(void **state)
{
        static const struct {
                const char *in;
                size_t position; /* 0: no position in the message */
        } cases[] = {
                {"", 1},          {"   ", 1},
                {";;", 1},        {"CN", 1},
                {"CN=", 4},       {"CN=\"\"", 4},
                {"=a", 1},        {"XX=a", 1},
                {"CN=a,XX=b", 6}, {"CN=Doe\\, Jane", 10},
                {"CN=a=b", 5},    {"CN=a,b", 6},
                {"CN=\"a", 4},    {"CN=\"a\"b", 7},
                {"CN=a\"b", 5},   {"CN=a'(),-./:?", 9},
                {"CN=a+", 6},     {"CN=a+,O=b", 6},
                {"CN=a++O=b", 6}, {"CN=#", 4},
                {"CN=#0", 4},     {"CN=#xy", 4},
                {"CN=#01:02", 4}, {"CN=a\x01", 5},
                {"CN=a\nO=b", 5}, {"3.1=a", 1},
                {"1.40=a", 1},    {"1.02=a", 1},
                {"1=a", 1},       {"1..2=a", 1},
                {"1.2.=a", 1},    {"1.2.99999999999=a", 1},
                {"CN=\xff", 0},
        };
        char long_name[NAME_TEXT_MAX + 10];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct name name = {0};
                char wanted[40];

                expect_err(name_parse(cases[i].in, &name, &e), ERR_PROFILE);
                snprintf(wanted, sizeof wanted, "at character %zu:", cases[i].position);
                if (cases[i].position && !strstr(e.message, wanted))
                        fail_msg("'%s': wanted %s in: %s", cases[i].in, wanted, e.message);
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
                const char *key;
                size_t max;
        } bounds[] = {{"CN", 64},  {"O", 64},  {"OU", 64},        {"T", 64},   {"2.5.4.5", 64}, {"L", 128},
                      {"ST", 128}, {"E", 255}, {"2.5.4.65", 128}, {"G", 1024}, {"1.2.3", 1024}};
        static const char *const refused[] = {
                "C=usa", "C=1", "C=D\xc3\x9c", "C=12", "E=m\xc3\xbcller@x", "DC=m\xc3\xbc", "C=\"a \""};
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(refused); i++) {
                struct name name = {0};
                struct bytes der = {0};

                expect_ok(name_parse(refused[i], &name, &e));
                expect_err(name_der(&name, &der, &e), ERR_PROFILE);
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
        struct name name = {0};
        struct bytes der = {0};
        char umlauts[3 + 2 * 64 + 1] = "CN=";

        for (int i = 0; i < 64; i++)
                strcat(umlauts, "\xc3\xbc");
        expect_ok(name_parse(umlauts, &name, &e));
        expect_ok(name_der(&name, &der, &e));
        bytes_done(&der);
        name_done(&name);
}

/* #hex is understood, and refused by name where it would have to be encoded. */
static void octets(void **state)
{
        struct error e = {0};
        struct name name = {0};
        struct bytes der = {0};

        (void)state;
        expect_ok(name_parse("CN=#04 01 ff,O=x", &name, &e));
        assert_true(name.avas[0].hex);
        assert_int_equal(name.avas[0].octets.len, 3);
        assert_memory_equal(name.avas[0].octets.data, "\x04\x01\xff", 3);
        expect_err(name_der(&name, &der, &e), ERR_UNSUPPORTED);
        name_done(&name);
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
                cmocka_unit_test(vectors), cmocka_unit_test(refusals),   cmocka_unit_test(values),
                cmocka_unit_test(octets),  cmocka_unit_test(der_octets),
        };

        return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
