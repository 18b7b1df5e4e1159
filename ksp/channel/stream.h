/* Blocking transport of frames over a stream socket: for clients and workers. The daemon's loop has its own.
 */
#pragma once

#include "channel/frame.h"

/* Writes one frame; MSG_NOSIGNAL. ERR_PROTOCOL where the other side went away. */
MUST_CHECK enum err channel_send(int fd, enum frame_type type, uint32_t id, struct view body,
                                 struct error *e);
/*
 * Waits for one frame. The body is the caller's; it is in locked memory since plaintexts and challenges come
 * this way. ERR_PROTOCOL: malformed, over @max, or the stream ended.
 */
MUST_CHECK enum err channel_receive(int fd, size_t max, struct frame_header *ret, struct secret *ret_body,
                                    struct error *e);
/* Sends a request and waits for its answer: FRAME_ANSWER gives the body, FRAME_ERROR the error of the other
 * side, anything else ERR_PROTOCOL. */
MUST_CHECK enum err channel_call(int fd, enum frame_type type, uint32_t id, struct view body, size_t max,
                                 struct secret *ret_body, struct error *e);
