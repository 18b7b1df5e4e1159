#include "fake-service.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "bus-server/server.h"

struct fake {
        struct bus_server *server;
        struct bus_call *kept, *asking;
        bus_authorised *asking_done;
        bool added, alice_gone;
        int reads; /* of property Reads */
};

static struct fake fake;

/* Objects are their paths. */
static char root_path[] = BUS_PATH, public_path[] = FAKE_PUBLIC, alice_path[] = FAKE_ALICE,
            bob_path[] = FAKE_BOB, added_path[] = FAKE_ADDED;

const char fake_introspection[] = "  <interface name=\"" FAKE_INTERFACE "\">\n"
                                  "    <property name=\"Bad\" type=\"s\" access=\"read\"/>\n"
                                  "  </interface>\n";

static enum err say(void *object, struct bus_call *call, struct error *e)
{
        struct bus_writer *w = bus_call_begin(call);

        (void)object;
        bus_write_string(w, "bad \xff.");
        return bus_call_reply(call, w, e);
}

static enum err fail(void *object, struct bus_call *call, struct error *e)
{
        (void)object;
        (void)call;
        error_set(e, ERR_TPM_LOCKED_OUT, "Key 'wifi'");
        strcat(e->message, " \xff");
        return error_remedy(e, ERR_TPM_LOCKED_OUT, "Wait 7 minutes.");
}

static enum err silent(void *object, struct bus_call *call, struct error *e)
{
        (void)object;
        (void)call;
        (void)e;
        return ERR_OK;
}

static enum err keep(void *object, struct bus_call *call, struct error *e)
{
        (void)object;
        if (fake.kept)
                return error_set(e, ERR_BUSY, "One is kept");
        fake.kept = bus_call_ref(call);
        return ERR_OK;
}

static enum err release(void *object, struct bus_call *call, struct error *e)
{
        enum err r;

        (void)object;
        if (!fake.kept)
                return error_set(e, ERR_NOT_FOUND, "None is kept");
        r = bus_call_reply_empty(fake.kept, e);
        bus_call_unref(STEAL(fake.kept));
        return r ? r : bus_call_reply_empty(call, e);
}

static enum err is_kept(void *object, struct bus_call *call, struct error *e)
{
        struct bus_writer *w = bus_call_begin(call);

        (void)object;
        bus_write_bool(w, fake.kept != NULL);
        return bus_call_reply(call, w, e);
}

static enum err options(void *object, struct bus_call *call, struct error *e)
{
        const char *user = "";
        const struct bus_option known[] = {BUS_OPTION_AS_STRING(BUS_OPTION_USER, user)};
        struct bus_writer *w;
        enum err r = bus_options_read(bus_call_reader(call), known, N_ELEMENTS(known), e);

        (void)object;
        if (r)
                return r;
        w = bus_call_begin(call);
        bus_write_string(w, user);
        bus_write_u32(w, (uint32_t)bus_call_uid(call));
        bus_write_bool(w, bus_call_is_root(call));
        bus_write_bool(w, bus_call_interactive(call));
        return bus_call_reply(call, w, e);
}

static enum err needs_file(void *object, struct bus_call *call, struct error *e)
{
        static const char *const details[] = {"RootCertificate", "ca.pem"};
        struct error fault;

        (void)object;
        (void)e;
        error_set(&fault, ERR_FILE_NEEDED, "The profile names a file");
        bus_call_fail_with(call, &fault, details, 2);
        return ERR_OK;
}

static const struct bus_interface *const fake_interfaces[];
static const struct bus_interface fake_interface;

static struct bus_object added_object(void)
{
        return (struct bus_object){FAKE_ADDED, added_path, fake_interfaces, false, ALICE};
}

/* Adds or removes an object of alice's. */
static enum err toggle(void *object, struct bus_call *call, struct error *e)
{
        struct bus_object o = added_object();

        (void)object;
        fake.added = !fake.added;
        if (fake.added)
                bus_server_added(fake.server, &o);
        else
                bus_server_removed(fake.server, &o);
        return bus_call_reply_empty(call, e);
}

/* Two changes of one object in one turn, and one of an object that does not exist. */
static enum err change(void *object, struct bus_call *call, struct error *e)
{
        static const char *const first[] = {"Reads", NULL}, *const second[] = {"Bad", "Reads", NULL};
        const char *path = object;

        bus_server_changed(fake.server, path, &fake_interface, first);
        bus_server_changed(fake.server, path, &fake_interface, second);
        bus_server_changed(fake.server, "/org/scepter1/gone", &fake_interface, first);
        return bus_call_reply_empty(call, e);
}

/* Decides the call that waits for authorisation: "yes", "no", or "vanish", where the object goes before the
 * yes. */
static enum err decide(void *object, struct bus_call *call, struct error *e)
{
        const char *what;
        struct error refusal;
        enum err r = bus_read_string(bus_call_reader(call), "what", &what, e);

        (void)object;
        if (r)
                return r;
        if (!fake.asking)
                return error_set(e, ERR_NOT_FOUND, "None waits");
        error_set(&refusal, ERR_DENIED, "You may not do this");
        fake.alice_gone = strcmp(what, "vanish") == 0;
        fake.asking_done(STEAL(fake.asking), strcmp(what, "no") == 0 ? &refusal : NULL);
        fake.alice_gone = false;
        return bus_call_reply_empty(call, e);
}

static const struct bus_method fake_methods[] = {
        {"Say", "", "s", NULL, say},
        {"Fail", "", "", NULL, fail},
        {"Silent", "", "", NULL, silent},
        {"Keep", "", "", NULL, keep},
        {"IsKept", "", "b", NULL, is_kept},
        {"Release", "", "", NULL, release},
        {"Options", "a{sv}", "subb", NULL, options},
        {"NeedsFile", "", "", NULL, needs_file},
        {"Toggle", "", "", NULL, toggle},
        {"Change", "", "", NULL, change},
        {"Guarded", "", "s", BUS_ACTION_ENROLL_DEVICE, say},
        {"Decide", "s", "", NULL, decide},
};

static void get_bad(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)object;
        (void)viewer;
        bus_write_string(w, "\xff\xc3");
}

static void get_bad_list(void *object, uid_t viewer, struct bus_writer *w)
{
        static const char *const list[] = {"\xff", "ok"};

        (void)object;
        (void)viewer;
        bus_write_strings(w, list, 2);
}

static void get_viewer(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)object;
        bus_write_u32(w, (uint32_t)viewer);
}

static void get_reads(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)object;
        (void)viewer;
        bus_write_u32(w, (uint32_t)++fake.reads);
}

static const struct bus_property fake_properties[] = {
        {"Bad", "s", get_bad},
        {"BadList", "as", get_bad_list},
        {"Viewer", "u", get_viewer},
        {"Reads", "u", get_reads},
};

static const struct bus_interface fake_interface = {
        FAKE_INTERFACE,           fake_introspection, fake_methods,
        N_ELEMENTS(fake_methods), fake_properties,    N_ELEMENTS(fake_properties),
};
static const struct bus_interface *const fake_interfaces[] = {&fake_interface, NULL};

static const struct bus_object objects[] = {
        {BUS_PATH, root_path, fake_interfaces, true, 0},
        {FAKE_PUBLIC, public_path, fake_interfaces, true, 0},
        {FAKE_ALICE, alice_path, fake_interfaces, false, ALICE},
        {FAKE_BOB, bob_path, fake_interfaces, false, BOB},
};

static void each(void *ctx, void (*visit)(void *visit_ctx, const struct bus_object *object), void *visit_ctx)
{
        struct bus_object added = added_object();

        (void)ctx;
        for (size_t i = 0; i < N_ELEMENTS(objects); i++)
                if (!fake.alice_gone || objects[i].owner != ALICE)
                        visit(visit_ctx, &objects[i]);
        if (fake.added)
                visit(visit_ctx, &added);
}

struct search {
        const char *path;
        struct bus_object *ret;
        bool found;
};

static void compare(void *ctx, const struct bus_object *object)
{
        struct search *search = ctx;

        if (strcmp(object->path, search->path) != 0)
                return;
        *search->ret = *object;
        search->found = true;
}

static bool find(void *ctx, const char *path, struct bus_object *ret)
{
        struct search search = {path, ret, false};

        each(ctx, compare, &search);
        return search.found;
}

/* Root at once; others wait for Decide. */
static void authorise(void *ctx, struct bus_call *call, const char *action, const struct bus_object *object,
                      bus_authorised *done)
{
        struct error refusal;

        (void)ctx;
        (void)object;
        if (bus_call_is_root(call)) {
                done(call, NULL);
        } else if (fake.asking) {
                error_set(&refusal, ERR_BUSY, "%s is asked already", action);
                done(call, &refusal);
        } else {
                fake.asking = call;
                fake.asking_done = done;
        }
}

static void lost(void *ctx)
{
        sd_event_exit(ctx, 0);
}

static int serve(const char *address, int ready)
{
        sd_event *event = NULL;
        sigset_t signals;
        struct error e;
        enum err r;
        int n;

        /* As long as the test, and not one moment longer. */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        n = sd_event_new(&event);
        if (n < 0 || sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL) < 0)
                return 1;
        r = bus_server_new(&(struct bus_server_setup){.event = event,
                                                      .address = address,
                                                      .tree = {NULL, find, each},
                                                      .ctx = event,
                                                      .authorise = authorise,
                                                      .lost = lost},
                           &fake.server, &e);
        if (!r)
                r = bus_server_own(fake.server, BUS_NAME, &e);
        if (r) {
                fprintf(stderr, "fake service: %s\n", e.message);
                return 1;
        }
        if (write(ready, "", 1) != 1)
                return 1;
        sd_event_loop(event);
        bus_call_unref(fake.kept);
        bus_server_free(fake.server);
        sd_event_unref(event);
        return 0;
}

pid_t fake_service_start(const char *address)
{
        int ready[2];
        char octet;
        pid_t pid;

        if (pipe2(ready, O_CLOEXEC) < 0)
                exit(1);
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                exit(serve(address, ready[1]));
        close(ready[1]);
        if (pid < 0 || read(ready[0], &octet, 1) != 1) {
                fprintf(stderr, "The fake service did not start\n");
                exit(1);
        }
        close(ready[0]);
        return pid;
}
