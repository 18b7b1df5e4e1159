#include "turns.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"

enum { WARM_UP = 3, TURN_MS_MAX = 600 * 1000 };

static uint64_t now_ns(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* No two signatures of a run are over the same octets. */
static void next_digest(uint8_t digest[TURN_DIGEST_LEN])
{
        for (size_t i = 0; i < TURN_DIGEST_LEN && ++digest[i] == 0; i++)
                ;
}

static enum err take_turn(const struct signer *signer, uint64_t ms, uint8_t digest[TURN_DIGEST_LEN],
                          struct error *e)
{
        uint64_t start, end, now, count = 0;
        enum err r = ERR_OK;

        for (int i = 0; !r && i < WARM_UP; i++) {
                next_digest(digest);
                r = signer->sign(signer->ctx, digest, e);
        }
        start = now = now_ns();
        end = start + ms * 1000000;
        while (!r && now < end) {
                next_digest(digest);
                r = signer->sign(signer->ctx, digest, e);
                now = now_ns();
                count++;
        }
        if (!r)
                (void)printf("%llu %llu\n", (unsigned long long)count, (unsigned long long)(now - start));
        return r;
}

int turns_fail(const struct error *e)
{
        (void)fprintf(stderr, "%s\n", e->message);
        return 1;
}

int turns_serve(const struct signer *signer)
{
        uint8_t digest[TURN_DIGEST_LEN] = {0};
        char line[32];

        (void)printf("ready\n");
        while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
                struct error e = {0};
                uint64_t ms;
                enum err r;

                line[strcspn(line, "\n")] = '\0';
                if (!parse_u64(line, TURN_MS_MAX, &ms)) {
                        (void)error_set(&e, ERR_INVALID, "This is no number of milliseconds: %s", line);
                        return turns_fail(&e);
                }
                r = signer->load(signer->ctx, &e);
                if (!r) {
                        r = take_turn(signer, ms, digest, &e);
                        signer->unload(signer->ctx);
                }
                if (r)
                        return turns_fail(&e);
        }
        return 0;
}
