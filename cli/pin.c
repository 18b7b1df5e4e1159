/* PINs: from the terminal alone, so that no pipe, argument or environment holds one. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "base/file.h"
#include "bus/names.h"
#include "cli/input.h"

enum { INTERRUPT = 3, END_OF_INPUT = 4 };

static enum err wait_for_input(int tty, const struct input_beside *beside, struct error *e)
{
        struct pollfd what[] = {{tty, POLLIN, 0}, {beside->fd, POLLIN, 0}};

        while (!what[0].revents) {
                enum err r = beside->come(beside->ctx, e);

                if (r)
                        return r;
                if (poll(what, N_ELEMENTS(what), -1) < 0 && errno != EINTR)
                        return errno_error(e, errno, "The terminal could not be waited for");
        }
        return ERR_OK;
}

/* One line. What Ctrl-C sends comes as a character, so that the terminal is put right whatever is typed. */
static enum err read_line(int tty, const struct input_beside *beside, struct secret *line, size_t *ret_len,
                          struct error *e)
{
        size_t len = 0;

        for (;;) {
                enum err r = beside ? wait_for_input(tty, beside, e) : ERR_OK;
                ssize_t n;

                if (r)
                        return r;
                n = read(tty, line->data + len, 1);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_error(e, errno, "The terminal could not be read");
                if (n == 0 || line->data[len] == INTERRUPT || line->data[len] == END_OF_INPUT)
                        return error_set(e, ERR_CANCELLED, "No PIN was entered");
                if (line->data[len] == '\n') {
                        *ret_len = len;
                        return ERR_OK;
                }
                if (++len == line->len)
                        return error_set(e, ERR_TOO_LARGE, "A PIN has at most %d characters", BUS_PIN_MAX);
        }
}

static enum err ask(int tty, const struct input_beside *beside, const char *question, const char *of,
                    struct secret *ret, size_t *ret_len, struct error *e)
{
        struct termios before, quiet;
        enum err r;

        if (tcgetattr(tty, &before) < 0)
                return errno_error(e, errno, "The terminal could not be asked");
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ISIG);
        quiet.c_cc[VEOL] = INTERRUPT; /* it ends a line, so that nobody has to press Enter behind it */
        if (tcsetattr(tty, TCSAFLUSH, &quiet) < 0)
                return errno_error(e, errno, "The terminal's echo could not be switched off");
        (void)dprintf(tty, "%s '%s': ", question, of);
        r = secret_new(ret, BUS_PIN_MAX + 1, e);
        if (!r)
                r = read_line(tty, beside, ret, ret_len, e);
        (void)tcsetattr(tty, TCSAFLUSH, &before);
        (void)dprintf(tty, "\n");
        return r;
}

enum err input_terminal(int *ret_fd, struct error *e)
{
        const int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);

        if (tty < 0) {
                (void)error_set(e, ERR_PIN_NEEDED, "There is no terminal to ask for a PIN");
                return error_remedy(e, ERR_PIN_NEEDED, "Run the command in a terminal.");
        }
        *ret_fd = tty;
        return ERR_OK;
}

enum err input_pin(const char *of, bool again, const struct input_beside *beside, int *ret_fd,
                   struct error *e)
{
        CLEANUP(secret_done) struct secret pin = {0};
        CLEANUP(secret_done) struct secret same = {0};
        CLEANUP(close_p) int tty = -1;
        size_t len = 0, same_len = 0;
        enum err r = input_terminal(&tty, e);

        if (!r)
                r = ask(tty, beside, again ? "New PIN (4 to 32 characters) for" : "PIN of", of, &pin, &len,
                        e);
        if (!r && again)
                r = ask(tty, beside, "The same PIN again for", of, &same, &same_len, e);
        if (!r && again && (len != same_len || memcmp(pin.data, same.data, len) != 0))
                r = error_set(e, ERR_INVALID, "The two PINs differ");
        return r ? r : memfd_make("scepter-pin", (struct view){pin.data, len}, ret_fd, e);
}
