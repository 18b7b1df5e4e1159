/* service/scep/http through a proxy, and past those that must not be asked. */
#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <openssl/pem.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "pki.h"
#include "scep-http/http.h"
#include "server.h"

#define BODY(s)                                                                                              \
        {                                                                                                    \
                (const uint8_t *)(s), sizeof(s) - 1                                                          \
        }

static X509 *ca, *cert;
static struct bytes bundle;

static int init(void **state)
{
        BIO *bio = BIO_new(BIO_s_mem());

        (void)state;
        ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = 1, .ca = true, .from = -3650, .to = 3650});
        cert = pki_cert(&(struct pki_spec){.subject = "server",
                                           .issuer = ca,
                                           .issuer_key = 1,
                                           .key = 2,
                                           .from = -3650,
                                           .to = 3650,
                                           .san = "DNS:ndes.invalid,IP:127.0.0.1"});
        (void)PEM_write_bio_X509(bio, ca);
        assert_int_equal(bio_bytes(bio, &bundle, NULL), ERR_OK);
        BIO_free(bio);
        return http_global_init(NULL);
}

static int done(void **state)
{
        (void)state;
        X509_free(ca), X509_free(cert);
        bytes_done(&bundle);
        http_global_done();
        return 0;
}

static const struct server_rule plain[] = {{"/ok", ACT_ANSWER, 200, NULL, BODY("AES\n")}, {0}};

static enum err get(const char *url, const struct http_options *options, struct error *e)
{
        const struct http_request request = {.url = url, .operation = "GetCACaps", .message = "x"};
        CLEANUP(http_reply_done) struct http_reply reply = {0};

        return http_perform(&request, options, &reply, e);
}

/* http goes to the proxy as it is, https through a tunnel whose contents are not the proxy's. */
static void through(void **state)
{
        static const struct server_rule rules[] = {{.match = "CONNECT ", .act = ACT_TUNNEL},
                                                   {"GET http://", ACT_ANSWER, 200, NULL, BODY("AES\n")},
                                                   {0}};
        struct server proxy = {0},
                      server = {.tls = server_tls(&(struct server_tls){.cert = cert, .key = pki_key(2)})};
        struct http_options options = {
                .ca_bundle = bytes_view(&bundle), .connect_ms = 5000, .total_ms = 5000};
        char name[64], url[128], wanted[160];
        struct error e = {0};

        (void)state;
        server_start(&proxy, rules);
        server_start(&server, plain);
        snprintf(name, sizeof name, "http://127.0.0.1:%u", proxy.port);
        options.proxy = name;
        /* the proxy resolves the name: nobody else can */
        expect_ok(get("http://ndes.invalid/ok", &options, &e));
        assert_non_null(strstr(proxy.requests[0],
                               "GET http://ndes.invalid/ok?operation=GetCACaps&message=x HTTP/1.1"));
        snprintf(url, sizeof url, "https://ndes.invalid:%u/ok", server.port);
        expect_ok(get(url, &options, &e));
        snprintf(wanted, sizeof wanted, "CONNECT ndes.invalid:%u HTTP/1.1\r\n", server.port);
        assert_non_null(strstr(proxy.requests[1], wanted));
        assert_null(strstr(proxy.requests[1], "operation"));
        assert_int_equal(proxy.n, 2);
        assert_non_null(strstr(server.requests[0], "GET /ok?operation=GetCACaps"));
        server_stop(&proxy);
        SSL_CTX_free(server.tls);
        server_stop(&server);
}

static void refused(void **state)
{
        static const struct {
                int status;
                const char *says, *remedy;
        } cases[] = {{407, "HTTP 407", "without authentication"},
                     {403, "HTTP 403", NULL},
                     {502, "HTTP 502", NULL}};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct server_rule rules[] = {
                        {"CONNECT", ACT_ANSWER, cases[i].status, NULL, BODY("<html>")}, {0}};
                struct http_options options = {.connect_ms = 5000, .total_ms = 5000};
                struct server proxy = {0};
                char name[64];
                struct error e = {0};

                server_start(&proxy, rules);
                snprintf(name, sizeof name, "http://127.0.0.1:%u", proxy.port);
                options.proxy = name;
                expect_err(get("https://ndes.invalid/ok", &options, &e), ERR_HTTP);
                assert_non_null(strstr(e.message, "The proxy did not connect"));
                assert_non_null(strstr(e.message, cases[i].says));
                if (cases[i].remedy)
                        assert_non_null(strstr(e.remedy, cases[i].remedy));
                server_stop(&proxy);
        }
}

/* What the environment names is not asked, and its exceptions do not send a profile past its proxy. */
static void environment(void **state)
{
        static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                            "ALL_PROXY"};
        static const struct server_rule rules[] = {{"GET http://", ACT_ANSWER, 200, NULL, BODY("AES\n")},
                                                   {0}};
        struct http_options options = {.connect_ms = 5000, .total_ms = 5000};
        struct server server = {0}, proxy = {0};
        char url[128], name[64];
        struct error e = {0};

        (void)state;
        server_start(&server, plain);
        server_start(&proxy, rules);
        for (size_t i = 0; i < N_ELEMENTS(names); i++)
                (void)setenv(names[i], "http://127.0.0.1:1", 1);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/ok", server.port);
        expect_ok(get(url, &options, &e));
        options.proxy = "";
        expect_ok(get(url, &options, &e));
        (void)setenv("no_proxy", "*", 1);
        (void)setenv("NO_PROXY", "*", 1);
        snprintf(name, sizeof name, "http://127.0.0.1:%u", proxy.port);
        options.proxy = name;
        expect_ok(get(url, &options, &e));
        assert_int_equal(server.n, 2);
        assert_int_equal(proxy.n, 1);
        for (size_t i = 0; i < N_ELEMENTS(names); i++)
                (void)unsetenv(names[i]);
        (void)unsetenv("no_proxy");
        (void)unsetenv("NO_PROXY");
        server_stop(&server);
        server_stop(&proxy);
}

/* The port in the place of "%u". */
static void format_url(char *ret, size_t size, const char *format, unsigned port)
{
        const char *at = strstr(format, "%u");

        snprintf(ret, size, "%.*s%u%s", at ? (int)(at - format) : (int)strlen(format), format, port,
                 at ? at + 2 : "");
}

/* A user's own profile: no address of this machine or link, by whatever way. */
static void own_profile(void **state)
{
        static const char *const urls[] = {"http://127.0.0.1:%u/ok",
                                           "http://127.1:%u/ok",
                                           "http://2130706433:%u/ok",
                                           "http://0.0.0.0:%u/ok",
                                           "http://0:%u/ok",
                                           "http://localhost:%u/ok",
                                           "http://[::1]:%u/ok",
                                           "http://[::]:%u/ok",
                                           "http://[::ffff:127.0.0.1]:%u/ok",
                                           "http://[::ffff:7f00:1]:%u/ok",
                                           "http://169.254.169.254:%u/ok",
                                           "http://[fe80::1]:%u/ok",
                                           "https://127.0.0.1:%u/ok"};
        struct http_options options = {.connect_ms = 5000, .total_ms = 5000, .deny_local = true};
        struct server server = {0};
        char url[128], name[64];
        struct error e = {0};

        (void)state;
        server_start(&server, plain);
        snprintf(name, sizeof name, "http://127.0.0.1:%u", server.port);
        for (size_t i = 0; i < N_ELEMENTS(urls); i++) {
                format_url(url, sizeof url, urls[i], server.port);
                memset(&e, 0, sizeof e);
                options.proxy = NULL;
                if (get(url, &options, &e) != ERR_DENIED)
                        fail_msg("%s: %s", url, e.message);
                /* A remote proxy would resolve it for us (198.51.100.1 is nobody's: nothing is sent there).
                 */
                options.proxy = "http://198.51.100.1:3128";
                if (get(url, &options, &e) != ERR_DENIED)
                        fail_msg("by proxy, %s: %s", url, e.message);
        }
        /* The proxy on this machine. */
        options.proxy = name;
        expect_err(get("http://ndes.invalid/ok", &options, &e), ERR_DENIED);
        assert_non_null(strstr(e.message, "proxy"));
        expect_err(get("https://ndes.invalid/ok", &options, &e), ERR_DENIED);
        assert_int_equal(server.connections, 0);
        server_stop(&server);
}

/* A network of one's own, with an address that is not local, and a name that leads to loopback. */
static bool own_network(char *hosts)
{
        static const char text[] = "127.0.0.1 trap.example\n10.99.0.1 ndes.example\n";
        struct ifreq lo = {.ifr_name = "lo"}, alias = {.ifr_name = "lo:1"};
        struct sockaddr_in at = {.sin_family = AF_INET};
        CLEANUP(close_p) int file = -1;
        CLEANUP(close_p) int fd = -1;

        if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
            mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
                return false;
        file = mkostemp(hosts, O_CLOEXEC);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        at.sin_addr.s_addr = htonl(0x0a630001);
        memcpy(&alias.ifr_addr, &at, sizeof at);
        lo.ifr_flags = IFF_UP;
        return fd >= 0 && file >= 0 && write(file, text, sizeof text - 1) == sizeof text - 1 &&
               mount(hosts, "/etc/hosts", "none", MS_BIND, NULL) == 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0 &&
               ioctl(fd, SIOCSIFADDR, &alias) == 0;
}

/* By a redirect, and by a name that leads there. Last: it leaves the network. */
static void own_profile_detours(void **state)
{
        static const struct {
                const char *url;
                enum err err;
        } cases[] = {
                {"http://10.99.0.1:%u/ok", ERR_OK},           {"http://ndes.example:%u/ok", ERR_OK},
                {"http://10.99.0.1:%u/loopback", ERR_DENIED}, {"http://ndes.example:%u/name", ERR_DENIED},
                {"http://ndes.example:%u/link", ERR_DENIED},  {"http://trap.example:%u/ok", ERR_DENIED}};
        static const struct http_options options = {.connect_ms = 5000, .total_ms = 5000, .deny_local = true};
        struct server far = {.address = 0x0a630001}, near = {0};
        char hosts[] = "/tmp/scepter-hosts.XXXXXX", lines[3][128];
        struct server_rule rules[5];
        struct error e = {0};

        (void)state;
        if (!own_network(hosts)) {
                print_message("a network namespace cannot be made here; needs root\n");
                skip();
        }
        server_start(&near, plain);
        snprintf(lines[0], sizeof lines[0], "Location: http://127.0.0.1:%u/ok\r\n", near.port);
        snprintf(lines[1], sizeof lines[1], "Location: http://trap.example:%u/ok\r\n", near.port);
        snprintf(lines[2], sizeof lines[2], "Location: http://[::ffff:169.254.169.254]/ok\r\n");
        rules[0] = (struct server_rule){"/loopback", ACT_ANSWER, 302, lines[0], BODY("")};
        rules[1] = (struct server_rule){"/name", ACT_ANSWER, 302, lines[1], BODY("")};
        rules[2] = (struct server_rule){"/link", ACT_ANSWER, 302, lines[2], BODY("")};
        rules[3] = plain[0];
        rules[4] = (struct server_rule){0};
        server_start(&far, rules);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const bool trap = strstr(cases[i].url, "trap") != NULL;
                char url[128];

                format_url(url, sizeof url, cases[i].url, trap ? near.port : far.port);
                memset(&e, 0, sizeof e);
                if (get(url, &options, &e) != cases[i].err)
                        fail_msg("%s: %s", url, e.message);
        }
        assert_int_equal(near.connections, 0);
        server_stop(&near);
        server_stop(&far);
        (void)umount("/etc/hosts");
        (void)unlink(hosts);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(through), cmocka_unit_test(refused),
                                           cmocka_unit_test(environment), cmocka_unit_test(own_profile),
                                           cmocka_unit_test(own_profile_detours)};

        return cmocka_run_group_tests_name("proxy", tests, init, done);
}
