#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>

enum { THREADS_MAX = 64 };

struct task {
        void (*run)(void *ctx);
        void (*done)(void *ctx);
        void *ctx;
        struct task *next;
};

struct queue {
        struct task *head, **tail;
};

struct pool {
        pthread_mutex_t lock;
        pthread_cond_t work;
        struct queue waiting, finished;
        bool ending;
        int wake; /* eventfd: something is finished */
        sd_event_source *source;
        pthread_t threads[THREADS_MAX];
        unsigned n_threads;
};

static void queue_init(struct queue *queue)
{
        queue->head = NULL;
        queue->tail = &queue->head;
}

static void queue_put(struct queue *queue, struct task *task)
{
        task->next = NULL;
        *queue->tail = task;
        queue->tail = &task->next;
}

static struct task *queue_take(struct queue *queue)
{
        struct task *task = queue->head;

        if (task) {
                queue->head = task->next;
                if (!queue->head)
                        queue->tail = &queue->head;
        }
        return task;
}

static void *work(void *arg)
{
        struct pool *pool = arg;

        (void)pthread_mutex_lock(&pool->lock);
        while (!pool->ending) {
                struct task *task = queue_take(&pool->waiting);
                const uint64_t one = 1;

                if (!task) {
                        (void)pthread_cond_wait(&pool->work, &pool->lock);
                        continue;
                }
                (void)pthread_mutex_unlock(&pool->lock);
                task->run(task->ctx);
                (void)pthread_mutex_lock(&pool->lock);
                queue_put(&pool->finished, task);
                (void)!write(pool->wake, &one, sizeof one);
        }
        (void)pthread_mutex_unlock(&pool->lock);
        return NULL;
}

static int on_finished(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct pool *pool = ctx;
        struct queue finished;
        struct task *task;
        uint64_t count;

        (void)source;
        (void)events;
        (void)!read(fd, &count, sizeof count);
        (void)pthread_mutex_lock(&pool->lock);
        finished = pool->finished;
        if (!finished.head)
                queue_init(&finished);
        queue_init(&pool->finished);
        (void)pthread_mutex_unlock(&pool->lock);
        while ((task = queue_take(&finished))) {
                task->done(task->ctx);
                free(task);
        }
        return 0;
}

static enum err start_threads(struct pool *pool, unsigned n, struct error *e)
{
        sigset_t all, before;
        int failed = 0;

        /* Signals are the loop's. */
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        for (; !failed && pool->n_threads < n; pool->n_threads++) {
                failed = pthread_create(&pool->threads[pool->n_threads], NULL, work, pool);
                if (failed)
                        break;
        }
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        return failed ? errno_error(e, failed, "A thread could not be started") : ERR_OK;
}

enum err pool_new(struct sd_event *event, unsigned threads, struct pool **ret, struct error *e)
{
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        struct pool *pool = calloc(1, sizeof *pool);
        enum err r = ERR_OK;
        int failed;

        if (!pool)
                return error_no_memory(e);
        (void)pthread_mutex_init(&pool->lock, NULL);
        (void)pthread_cond_init(&pool->work, NULL);
        queue_init(&pool->waiting);
        queue_init(&pool->finished);
        pool->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (pool->wake < 0)
                r = errno_error(e, errno, "An eventfd could not be made");
        failed =
                r ? 0 : sd_event_add_io(event, &pool->source, pool->wake, 1 /* EPOLLIN */, on_finished, pool);
        if (failed < 0)
                r = errno_error(e, -failed, "The event loop took no source");
        if (!threads)
                threads = processors > 2 ? (unsigned)processors : 2;
        if (!r)
                r = start_threads(pool, threads < THREADS_MAX ? threads : THREADS_MAX, e);
        if (r) {
                pool_free(pool);
                return r;
        }
        *ret = pool;
        return ERR_OK;
}

void pool_free(struct pool *pool)
{
        struct task *task;

        if (!pool)
                return;
        (void)pthread_mutex_lock(&pool->lock);
        pool->ending = true;
        (void)pthread_cond_broadcast(&pool->work);
        (void)pthread_mutex_unlock(&pool->lock);
        for (unsigned i = 0; i < pool->n_threads; i++)
                (void)pthread_join(pool->threads[i], NULL);
        while ((task = queue_take(&pool->waiting)))
                free(task);
        while ((task = queue_take(&pool->finished)))
                free(task);
        (void)sd_event_source_disable_unref(pool->source);
        if (pool->wake >= 0)
                (void)close(pool->wake);
        (void)pthread_mutex_destroy(&pool->lock);
        (void)pthread_cond_destroy(&pool->work);
        free(pool);
}

enum err pool_submit(struct pool *pool, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx,
                     struct error *e)
{
        struct task *task = malloc(sizeof *task);

        if (!task)
                return error_no_memory(e);
        *task = (struct task){run, done, ctx, NULL};
        (void)pthread_mutex_lock(&pool->lock);
        queue_put(&pool->waiting, task);
        (void)pthread_cond_signal(&pool->work);
        (void)pthread_mutex_unlock(&pool->lock);
        return ERR_OK;
}
