#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/ossl.h"

/* Types of handshake messages and alerts: RFC 8446 §4, §6. */
enum { CLIENT_HELLO = 1, ENCRYPTED_EXTENSIONS = 8, CERTIFICATE_REQUEST = 13 };
enum { HANDSHAKE_FAILURE = 40, FIRST_OF_CERTIFICATES = 42, ACCESS_DENIED = 49, CERTIFICATE_REQUIRED = 116 };

static void on_message(int sent, int version, int type, const void *data, size_t len, SSL *ssl, void *ctx)
{
        struct tls_watch *watch = ctx;
        const uint8_t *octets = data;

        (void)version;
        (void)ssl;
        if (type == SSL3_RT_ALERT && !sent && len == 2 && octets[1] != SSL_AD_CLOSE_NOTIFY)
                watch->alert = octets[1];
        if (type != SSL3_RT_HANDSHAKE || len == 0)
                return;
        if (sent && octets[0] == CLIENT_HELLO)
                watch->began = true;
        /* No older version has this message. */
        if (!sent && octets[0] == ENCRYPTED_EXTENSIONS)
                watch->is_13 = true;
        if (!sent && octets[0] == CERTIFICATE_REQUEST)
                watch->asked = true;
}

static enum err use_client(SSL_CTX *ctx, const struct http_client *client, struct error *e)
{
        bool ok = sk_X509_num(client->chain) > 0 && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                  SSL_CTX_use_certificate(ctx, sk_X509_value(client->chain, 0)) == 1 &&
                  SSL_CTX_use_PrivateKey(ctx, client->key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

        for (int i = 1; ok && i < sk_X509_num(client->chain); i++)
                ok = SSL_CTX_add1_chain_cert(ctx, sk_X509_value(client->chain, i)) == 1;
        return ok ? ERR_OK : ossl_error(e, ERR_TLS, "The client certificate cannot be used for TLS");
}

/* libcurl made the context of one connection. */
static CURLcode on_context(CURL *curl, void *ssl_ctx, void *ctx)
{
        struct tls_watch *watch = ctx;

        (void)curl;
        *watch = (struct tls_watch){.client = watch->client, .alert = -1};
        SSL_CTX_set_msg_callback(ssl_ctx, on_message);
        SSL_CTX_set_msg_callback_arg(ssl_ctx, watch);
        if (watch->client)
                *watch->client->failure = (struct error){0};
        if (watch->client && use_client(ssl_ctx, watch->client, &watch->error))
                return CURLE_SSL_CERTPROBLEM;
        return CURLE_OK;
}

enum err tls_setup(CURL *curl, struct tls_watch *watch, struct error *e)
{
        const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

        /* With another library behind it, libcurl would hand over something else than an SSL_CTX. */
        if (!info->ssl_version || strncmp(info->ssl_version, "OpenSSL/", 8) != 0)
                return !watch->client ? ERR_OK
                                      : error_set(e, ERR_UNSUPPORTED,
                                                  "libcurl does TLS with '%s' here, and not with OpenSSL",
                                                  info->ssl_version ? info->ssl_version : "nothing");
        watch->alert = -1;
        if (curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, on_context) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, watch) != CURLE_OK)
                return error_set(e, ERR_FAILED, "A TLS connection could not be prepared");
        return ERR_OK;
}

static const char no_certificate[] = "Set ClientCertificate= in the profile to a certificate, with its key, "
                                     "that the server or the gateway "
                                     "before it takes.";
static const char other_certificate[] = "Have the server trust the issuer of the certificate in "
                                        "ClientCertificate=, put the issuers behind it in "
                                        "its file, and renew it if it has expired.";

enum err tls_failure(const struct tls_watch *watch, CURLcode code, const char *why, struct error *e)
{
        const struct http_client *client = watch->client;
        const int alert = watch->alert;

        /* No handshake of this transfer came to an end, and what an earlier one left is no reason. */
        if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
            code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT)
                return ERR_OK;
        if (client && client->failure->code) {
                (void)error_copy(e, client->failure);
                (void)error_context(e, e->code, "The client certificate's key");
                return e->code != ERR_KEY_FOREIGN ? e->code
                                                  : error_remedy(e, e->code,
                                                                 "Add the profile again with a client "
                                                                 "certificate whose key is in this "
                                                                 "machine's TPM.");
        }
        if (watch->error.code)
                return error_copy(e, &watch->error);
        if (client && code == CURLE_SSL_CONNECT_ERROR && watch->began && !watch->is_13) {
                (void)error_set(
                        e, ERR_TLS,
                        "The server takes no TLS 1.3 connection, and a client certificate is used with no "
                        "older version: %s",
                        why);
                return error_remedy(e, ERR_TLS,
                                    "Enable TLS 1.3 on the server or the gateway before it, or take "
                                    "ClientCertificate= out of the profile.");
        }
        if (!watch->asked || !((alert >= FIRST_OF_CERTIFICATES && alert <= ACCESS_DENIED) ||
                               alert == HANDSHAKE_FAILURE || alert == CERTIFICATE_REQUIRED))
                return ERR_OK;
        (void)error_set(e, ERR_TLS,
                        client ? "The server refused the client certificate: %s"
                               : "The server asks for a client certificate, and the profile has none: %s",
                        why);
        return error_remedy(e, ERR_TLS, "%s", client ? other_certificate : no_certificate);
}

bool tls_explains_status(const struct tls_watch *watch, int64_t status)
{
        /* nginx has 400 for what it calls 495 and 496 inside; IIS 403. */
        return watch->asked && (status == 400 || status == 403 || status == 495 || status == 496);
}

enum err tls_status_remedy(const struct tls_watch *watch, enum err code, struct error *e)
{
        (void)error_context(e, code,
                            watch->client
                                    ? "The server asked for a client certificate and was shown the profile's"
                                    : "The server asked for a client certificate, and the profile has none");
        return error_remedy(e, code, "%s", watch->client ? other_certificate : no_certificate);
}
