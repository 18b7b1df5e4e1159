#include "queue.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { UIDS_REMEMBERED = 64 };

static const uint64_t class_limit_usec[_TPM_CLASS_MAX] = {
        [TPM_CLASS_USE] = 90 * 1000000ull,
        [TPM_CLASS_CREATE] = 300 * 1000000ull,
};

struct tpm_queue {
        pthread_mutex_t lock;
        pthread_cond_t work; /* for the thread: a job, or the end */
        pthread_cond_t done; /* for those who wait in tpm_queue_run() */
        pthread_t thread;
        struct tpm_job *head, **tail;
        bool busy, ending;
        uint64_t since, limit;
        uint64_t turn; /* counts jobs, to tell whose uid was served longest ago */
        struct {
                uid_t uid;
                uint64_t turn;
        } served[UIDS_REMEMBERED];
};

static uint64_t now_usec(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t last_turn(const struct tpm_queue *queue, uid_t uid)
{
        for (size_t i = 0; i < UIDS_REMEMBERED; i++)
                if (queue->served[i].turn && queue->served[i].uid == uid)
                        return queue->served[i].turn;
        return 0;
}

static void remember_turn(struct tpm_queue *queue, uid_t uid)
{
        size_t slot = 0;

        for (size_t i = 0; i < UIDS_REMEMBERED; i++) {
                if (queue->served[i].turn && queue->served[i].uid == uid) {
                        slot = i;
                        break;
                }
                if (queue->served[i].turn < queue->served[slot].turn)
                        slot = i;
        }
        queue->served[slot].uid = uid;
        queue->served[slot].turn = ++queue->turn;
}

/* The first job of the best class of the uid that was served longest ago. */
static struct tpm_job *take_next(struct tpm_queue *queue)
{
        struct tpm_job **best = NULL, *job;
        uint64_t best_turn = 0;

        for (struct tpm_job **p = &queue->head; *p; p = &(*p)->next) {
                uint64_t turn = last_turn(queue, (*p)->uid);

                if (!best || (*p)->class < (*best)->class ||
                    ((*p)->class == (*best)->class && turn < best_turn)) {
                        best = p;
                        best_turn = turn;
                }
        }
        if (!best)
                return NULL;
        job = *best;
        *best = job->next;
        if (!*best)
                queue->tail = best;
        return job;
}

/* With the lock held, which is released meanwhile. */
static void run_exclusively(struct tpm_queue *queue, struct tpm_job *job)
{
        queue->busy = true;
        queue->since = now_usec();
        queue->limit = class_limit_usec[job->class];
        remember_turn(queue, job->uid);
        (void)pthread_mutex_unlock(&queue->lock);
        job->run(job);
        (void)pthread_mutex_lock(&queue->lock);
        queue->busy = false;
        queue->since = 0;
}

static void *work(void *arg)
{
        struct tpm_queue *queue = arg;

        (void)pthread_mutex_lock(&queue->lock);
        for (;;) {
                while (!queue->ending && (queue->busy || !queue->head))
                        (void)pthread_cond_wait(&queue->work, &queue->lock);
                if (!queue->head)
                        break;
                run_exclusively(queue, take_next(queue));
        }
        (void)pthread_mutex_unlock(&queue->lock);
        return NULL;
}

enum err tpm_queue_new(struct tpm_queue **ret, struct error *e)
{
        struct tpm_queue *queue = calloc(1, sizeof *queue);
        sigset_t all, before;
        int failed;

        if (!queue)
                return error_no_memory(e);
        queue->tail = &queue->head;
        (void)pthread_mutex_init(&queue->lock, NULL);
        (void)pthread_cond_init(&queue->work, NULL);
        (void)pthread_cond_init(&queue->done, NULL);
        /* Signals are the main thread's. */
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        failed = pthread_create(&queue->thread, NULL, work, queue);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (failed) {
                free(queue);
                return errno_error(e, failed, "The TPM's thread could not be started");
        }
        *ret = queue;
        return ERR_OK;
}

void tpm_queue_free(struct tpm_queue *queue)
{
        if (!queue)
                return;
        (void)pthread_mutex_lock(&queue->lock);
        queue->ending = true;
        (void)pthread_cond_signal(&queue->work);
        (void)pthread_mutex_unlock(&queue->lock);
        (void)pthread_join(queue->thread, NULL);
        (void)pthread_mutex_destroy(&queue->lock);
        (void)pthread_cond_destroy(&queue->work);
        (void)pthread_cond_destroy(&queue->done);
        free(queue);
}

static void enqueue(struct tpm_queue *queue, struct tpm_job *job)
{
        job->next = NULL;
        *queue->tail = job;
        queue->tail = &job->next;
}

void tpm_queue_submit(struct tpm_queue *queue, struct tpm_job *job)
{
        (void)pthread_mutex_lock(&queue->lock);
        enqueue(queue, job);
        (void)pthread_mutex_unlock(&queue->lock);
        (void)pthread_cond_signal(&queue->work); /* unlocked: the thread wakes once, not twice */
}

struct waiting {
        struct tpm_job job;
        struct tpm_queue *queue;
        struct tpm_job *inner;
        bool done;
};

static void run_waiting(struct tpm_job *job)
{
        struct waiting *waiting = (struct waiting *)job;

        waiting->inner->run(waiting->inner);
        (void)pthread_mutex_lock(&waiting->queue->lock);
        waiting->done = true;
        (void)pthread_cond_broadcast(&waiting->queue->done);
        (void)pthread_mutex_unlock(&waiting->queue->lock);
}

void tpm_queue_run(struct tpm_queue *queue, struct tpm_job *job)
{
        (void)pthread_mutex_lock(&queue->lock);
        if (!queue->busy && !queue->head) {
                run_exclusively(queue, job);
                if (queue->head)
                        (void)pthread_cond_signal(&queue->work);
        } else {
                struct waiting waiting = {
                        .job = {job->class, job->uid, run_waiting, NULL}, .queue = queue, .inner = job};

                enqueue(queue, &waiting.job);
                (void)pthread_cond_signal(&queue->work);
                while (!waiting.done)
                        (void)pthread_cond_wait(&queue->done, &queue->lock);
        }
        (void)pthread_mutex_unlock(&queue->lock);
}

uint64_t tpm_queue_busy_since(struct tpm_queue *queue, uint64_t *ret_limit)
{
        uint64_t since;

        (void)pthread_mutex_lock(&queue->lock);
        since = queue->since;
        *ret_limit = queue->limit;
        (void)pthread_mutex_unlock(&queue->lock);
        return since;
}
