/* What an HTTP status means on the way to a SCEP server, and what helps (facts.md §8.2). A table and its
 * look-up. */
#include <stddef.h>

#include "scep-http/http.h"

static const struct {
        int64_t status;
        const char *meaning, *remedy;
} statuses[] = {
        {400, "Bad Request", "Check that no proxy changes the request; some servers want POST, others GET."},
        {401, "Unauthorized",
         "Set the proxy or gateway in front of the server to pass-through: SCEP has its own authentication."},
        {403, "Forbidden",
         "Check that the URL ends in mscep.dll and not in a folder, and that a firewall lets '?operation=' "
         "through. (NDES answers "
         "403 to a browser without an operation; that alone is healthy.)"},
        {404, "Not Found",
         "Correct the path of the URL (NDES: /certsrv/mscep/mscep.dll); PkiClientSuffix= adds "
         "/pkiclient.exe."},
        {405, "Method Not Allowed",
         "Check the server's GetCACaps: POSTPKIOperation must be listed only if it takes POST."},
        {407, "Proxy Authentication Required", "Use a proxy without authentication in Proxy=, or none."},
        {408, "Request Timeout", "Try again; check the proxy between this machine and the server."},
        {413, "Payload Too Large", "Raise the size limit of the server or of the proxy before it."},
        {414, "URI Too Long",
         "Have the server offer POST (POSTPKIOperation), or raise its limits for URL and query string to "
         "65534 (IIS request "
         "filtering and HTTP.sys), then restart it."},
        {429, "Too Many Requests", "Wait; the server limits how often it may be asked."},
        {500, "Internal Server Error",
         "On NDES check: RA certificates not expired, service account neither locked nor its password "
         "expired, IIS_IUSRS may "
         "impersonate a client, CA reachable. Its Application log names the cause."},
        {502, "Bad Gateway",
         "The proxy in front of the server cannot reach it: start the server or its connector."},
        {503, "Service Unavailable",
         "On NDES start the application pool 'SCEP' and read the Application log; the service account needs "
         "the right to log on."},
        {504, "Gateway Timeout",
         "Start the application proxy connector (service 'Microsoft AAD Application Proxy Connector'), or "
         "the server behind it."},
};

enum err http_status_error(struct error *e, int64_t status, bool post, const char *target)
{
        if (status >= 300 && status < 400) {
                (void)error_set(e, ERR_HTTP, "The server answered HTTP %lld: it redirects %s to '%.300s'",
                                (long long)status, post ? "a POST" : "the request",
                                target ? target : "an unnamed place");
                return error_remedy(e, ERR_HTTP, "%s",
                                    post ? "Put the address it redirects to into the profile's Url=; or set "
                                           "a login page in front "
                                           "of the server to pass-through."
                                         : "Put the final address into the profile's Url=; a redirect from "
                                           "https to http is not followed.");
        }
        for (size_t i = 0; i < N_ELEMENTS(statuses); i++) {
                if (statuses[i].status != status)
                        continue;
                (void)error_set(e, ERR_HTTP, "The server answered HTTP %lld (%s)", (long long)status,
                                statuses[i].meaning);
                return error_remedy(e, ERR_HTTP, "%s", statuses[i].remedy);
        }
        return error_set(e, ERR_HTTP, "The server answered HTTP %lld", (long long)status);
}
