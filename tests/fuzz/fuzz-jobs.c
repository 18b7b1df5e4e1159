/* What goes to a worker ('J'), and what one that was taken over may answer (the number of the job). */
#include <string.h>

#include "base/parse.h"
#include "fuzz.h"
#include "worker/protocol.h"

static void job(struct view record)
{
        CLEANUP(bytes_done) struct bytes first = {0};
        CLEANUP(bytes_done) struct bytes second = {0};
        struct job job, again;
        struct error e = {0};
        enum err r = job_decode(record, &job, &e);

        fuzz_whole(r, &e);
        if (r)
                return;
        fuzz_promise(job_encode(&job, &first, &e) == ERR_OK, "a job that was taken can be given");
        fuzz_promise(job_decode(bytes_view(&first), &again, &e) == ERR_OK, "and taken again");
        fuzz_promise(job_encode(&again, &second, &e) == ERR_OK &&
                             view_equal(bytes_view(&first), bytes_view(&second)),
                     "and is the same");
}

static void failed(const struct result_failed *failed)
{
        struct error e = {0};
        enum err r = result_error(failed, &e);

        fuzz_promise(r != ERR_OK, "a failure is one");
        fuzz_whole(r, &e);
}

static void result(enum job_kind kind, struct view record)
{
        CLEANUP(bytes_done) struct bytes first = {0};
        CLEANUP(bytes_done) struct bytes second = {0};
        struct result result, again;
        struct error e = {0};
        enum err r = result_decode(record, kind, &result, &e);

        fuzz_whole(r, &e);
        if (r)
                return;
        if (result.kind == RESULT_FAILED)
                failed(&result.of.failed);
        fuzz_promise(result_encode(&result, &first, &e) == ERR_OK, "a result that was taken can be given");
        fuzz_promise(result_decode(bytes_view(&first), kind, &again, &e) == ERR_OK, "and taken again");
        fuzz_promise(result_encode(&again, &second, &e) == ERR_OK &&
                             view_equal(bytes_view(&first), bytes_view(&second)),
                     "and is the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct view record = {data + 1, size - 1};

        if (size == 0)
                return 0;
        if (data[0] == 'J')
                job(record);
        else
                result((enum job_kind)(JOB_PARSE + data[0] % (_JOB_KIND_MAX - JOB_PARSE)), record);
        return 0;
}
