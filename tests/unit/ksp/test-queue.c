/* ksp/tpm/queue: exclusive, signing before creating, uids in turn. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "queue.h"

struct probe {
        struct tpm_job job;
        char name;
};

static char order[64];
static atomic_int inside, finished;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void note(struct tpm_job *job)
{
        struct probe *probe = (struct probe *)job;

        assert_int_equal(atomic_fetch_add(&inside, 1), 0);
        if (probe->name == '!') { /* holds the place until the test lets go */
                pthread_mutex_lock(&gate);
                pthread_mutex_unlock(&gate);
        } else {
                order[strlen(order)] = probe->name;
        }
        atomic_fetch_sub(&inside, 1);
        atomic_fetch_add(&finished, 1);
}

static void order_of_service(void **state)
{
        struct probe block = {{TPM_CLASS_USE, 9, note, NULL}, '!'};
        struct probe probes[] = {
                {{TPM_CLASS_CREATE, 1, note, NULL}, 'C'}, {{TPM_CLASS_USE, 1, note, NULL}, 'a'},
                {{TPM_CLASS_USE, 1, note, NULL}, 'b'},    {{TPM_CLASS_USE, 1, note, NULL}, 'c'},
                {{TPM_CLASS_USE, 2, note, NULL}, 'x'},    {{TPM_CLASS_USE, 2, note, NULL}, 'y'},
                {{TPM_CLASS_CREATE, 2, note, NULL}, 'D'},
        };
        struct tpm_queue *queue;
        struct error e = {0};
        uint64_t limit;

        (void)state;
        expect_ok(tpm_queue_new(&queue, &e));
        assert_true(tpm_queue_busy_since(queue, &limit) == 0);
        pthread_mutex_lock(&gate);
        tpm_queue_submit(queue, &block.job);
        while (!atomic_load(&inside))
                sched_yield();
        assert_true(tpm_queue_busy_since(queue, &limit) > 0);
        assert_true(limit == 90 * 1000000ull);
        for (size_t i = 0; i < N_ELEMENTS(probes); i++)
                tpm_queue_submit(queue, &probes[i].job);
        pthread_mutex_unlock(&gate);
        tpm_queue_free(queue); /* works off what is left */
        assert_string_equal(order, "axbycDC");
}

enum { THREADS = 8, ROUNDS = 2000 };
static unsigned counter;

static void count(struct tpm_job *job)
{
        (void)job;
        counter++;
}

static void *hammer(void *arg)
{
        for (int i = 0; i < ROUNDS; i++) {
                struct tpm_job job = {i % 3 ? TPM_CLASS_USE : TPM_CLASS_CREATE, (uid_t)i % 5, count, NULL};

                tpm_queue_run(arg, &job);
        }
        return NULL;
}

static void exclusive(void **state)
{
        struct tpm_queue *queue;
        pthread_t threads[THREADS];
        struct error e = {0};

        (void)state;
        expect_ok(tpm_queue_new(&queue, &e));
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, hammer, queue), 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        tpm_queue_free(queue);
        assert_int_equal(counter, THREADS * ROUNDS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(order_of_service), cmocka_unit_test(exclusive)};

        return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
