#include "channel/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static enum err gone(struct error *e)
{
        return error_set(e, ERR_PROTOCOL, "The other side of the key channel closed the connection");
}

enum err channel_send(int fd, enum frame_type type, uint32_t id, struct view body, struct error *e)
{
        uint8_t header[FRAME_HEADER];
        const struct frame_header h = {type, id, body.len};
        size_t sent = 0;

        frame_header_encode(&h, header);
        while (sent < sizeof header + body.len) {
                /* iovec is not const-correct; sendmsg() only reads. */
                union {
                        const uint8_t *in;
                        void *out;
                } data = {.in = body.data};
                struct iovec parts[2] = {{header, sizeof header}, {data.out, body.len}};
                struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
                ssize_t n;

                if (sent < sizeof header) {
                        parts[0] = (struct iovec){header + sent, sizeof header - sent};
                } else {
                        data.in = body.data + (sent - sizeof header);
                        parts[0] = (struct iovec){data.out, body.len - (sent - sizeof header)};
                        message.msg_iovlen = 1;
                }
                n = sendmsg(fd, &message, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EPIPE || errno == ECONNRESET
                                       ? gone(e)
                                       : errno_error(e, errno, "Writing to the key channel failed");
                sent += (size_t)n;
        }
        return ERR_OK;
}

static enum err receive_all(int fd, uint8_t *p, size_t len, struct error *e)
{
        while (len) {
                ssize_t n = recv(fd, p, len, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n == 0 || (n < 0 && errno == ECONNRESET))
                        return gone(e);
                if (n < 0)
                        return errno_error(e, errno, "Reading from the key channel failed");
                p += n;
                len -= (size_t)n;
        }
        return ERR_OK;
}

enum err channel_receive(int fd, size_t max, struct frame_header *ret, struct secret *ret_body,
                         struct error *e)
{
        CLEANUP(secret_done) struct secret body = {0};
        uint8_t header[FRAME_HEADER];
        struct frame_header h;
        enum err r = receive_all(fd, header, sizeof header, e);

        if (!r)
                r = frame_header_decode(header, max, &h, e);
        if (!r)
                r = secret_new(&body, h.len, e);
        if (!r)
                r = receive_all(fd, body.data, h.len, e);
        if (r)
                return r;
        *ret = h;
        *ret_body = body;
        body = (struct secret){0};
        return ERR_OK;
}

enum err channel_call(int fd, enum frame_type type, uint32_t id, struct view body, size_t max,
                      struct secret *ret_body, struct error *e)
{
        CLEANUP(secret_done) struct secret answer = {0};
        struct frame_header h;
        enum err r = channel_send(fd, type, id, body, e);

        if (!r)
                r = channel_receive(fd, max, &h, &answer, e);
        if (r)
                return r;
        if (h.id != id)
                return error_set(e, ERR_PROTOCOL,
                                 "An answer over the key channel belongs to another request");
        if (h.type == FRAME_ERROR)
                return frame_error_decode(secret_view(&answer), e);
        if (h.type != FRAME_ANSWER || !fields_valid(secret_view(&answer)))
                return error_set(e, ERR_PROTOCOL, "An answer over the key channel is malformed");
        *ret_body = answer;
        answer = (struct secret){0};
        return ERR_OK;
}
