/* org.freedesktop.DBus.{Introspectable,Properties,ObjectManager}; Peer is answered by libdbus itself. */
#include "bus-server/internal.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

enum { INTROSPECTION_MAX = 8 * 1024 * 1024 };

static const char standard_xml[] =
        "  <interface name=\"org.freedesktop.DBus.Peer\">\n"
        "    <method name=\"Ping\"/>\n"
        "    <method name=\"GetMachineId\"><arg name=\"machine_uuid\" type=\"s\" "
        "direction=\"out\"/></method>\n"
        "  </interface>\n"
        "  <interface name=\"org.freedesktop.DBus.Introspectable\">\n"
        "    <method name=\"Introspect\"><arg name=\"xml_data\" type=\"s\" direction=\"out\"/></method>\n"
        "  </interface>\n";

static const char properties_xml[] = "  <interface name=\"org.freedesktop.DBus.Properties\">\n"
                                     "    <method name=\"Get\">\n"
                                     "      <arg name=\"interface_name\" type=\"s\" direction=\"in\"/>\n"
                                     "      <arg name=\"property_name\" type=\"s\" direction=\"in\"/>\n"
                                     "      <arg name=\"value\" type=\"v\" direction=\"out\"/>\n"
                                     "    </method>\n"
                                     "    <method name=\"GetAll\">\n"
                                     "      <arg name=\"interface_name\" type=\"s\" direction=\"in\"/>\n"
                                     "      <arg name=\"properties\" type=\"a{sv}\" direction=\"out\"/>\n"
                                     "    </method>\n"
                                     "    <method name=\"Set\">\n"
                                     "      <arg name=\"interface_name\" type=\"s\" direction=\"in\"/>\n"
                                     "      <arg name=\"property_name\" type=\"s\" direction=\"in\"/>\n"
                                     "      <arg name=\"value\" type=\"v\" direction=\"in\"/>\n"
                                     "    </method>\n"
                                     "    <signal name=\"PropertiesChanged\">\n"
                                     "      <arg name=\"interface_name\" type=\"s\"/>\n"
                                     "      <arg name=\"changed_properties\" type=\"a{sv}\"/>\n"
                                     "      <arg name=\"invalidated_properties\" type=\"as\"/>\n"
                                     "    </signal>\n"
                                     "  </interface>\n";

static const char objects_xml[] = "  <interface name=\"org.freedesktop.DBus.ObjectManager\">\n"
                                  "    <method name=\"GetManagedObjects\">\n"
                                  "      <arg name=\"objects\" type=\"a{oa{sa{sv}}}\" direction=\"out\"/>\n"
                                  "    </method>\n"
                                  "    <signal name=\"InterfacesAdded\">\n"
                                  "      <arg name=\"object\" type=\"o\"/>\n"
                                  "      <arg name=\"interfaces\" type=\"a{sa{sv}}\"/>\n"
                                  "    </signal>\n"
                                  "    <signal name=\"InterfacesRemoved\">\n"
                                  "      <arg name=\"object\" type=\"o\"/>\n"
                                  "      <arg name=\"interfaces\" type=\"as\"/>\n"
                                  "    </signal>\n"
                                  "  </interface>\n";

static bool is_objects_root(const struct bus_object *object)
{
        return object && strcmp(object->path, BUS_PATH) == 0;
}

/* The part of @path below @node: what is left behind the slash. NULL: it is not below. */
static const char *below(const char *path, const char *node)
{
        size_t len = strcmp(node, "/") == 0 ? 0 : strlen(node);

        return strncmp(path, node, len) == 0 && path[len] == '/' && path[len + 1] ? path + len + 1 : NULL;
}

struct child_search {
        struct bus_server *server;
        const char *node;
        uid_t uid;
        size_t n, size;
        char **names;
        bool any, want_names, failed;
};

static void visit_child(void *ctx, const struct bus_object *object)
{
        struct child_search *search = ctx;
        const char *rest = below(object->path, search->node);

        if (!rest || !server_may_see(search->server, object, search->uid))
                return;
        search->any = true;
        if (!search->want_names || search->failed)
                return;
        if (search->n == search->size) {
                size_t size = search->size ? search->size * 2 : 64;
                char **names = reallocarray(search->names, size, sizeof *names);

                if (!names) {
                        search->failed = true;
                        return;
                }
                search->names = names;
                search->size = size;
        }
        search->names[search->n] = strndup(rest, strcspn(rest, "/"));
        if (search->names[search->n])
                search->n++;
        else
                search->failed = true;
}

static void search_children(struct child_search *search)
{
        const struct bus_tree *tree = &search->server->setup.tree;

        tree->each(tree->ctx, visit_child, search);
}

bool standard_node_exists(struct bus_server *server, const char *path, uid_t uid)
{
        struct child_search search = {.server = server, .node = path, .uid = uid};

        search_children(&search);
        return search.any;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_children(struct text *xml, struct child_search *search)
{
        qsort(search->names, search->n, sizeof *search->names, compare_names);
        for (size_t i = 0; i < search->n; i++)
                if (i == 0 || strcmp(search->names[i - 1], search->names[i]) != 0)
                        text_addf(xml, "  <node name=\"%s\"/>\n", search->names[i]);
}

static enum err make_introspection(struct bus_call *call, const struct bus_object *object, char **ret,
                                   struct error *e)
{
        struct child_search search = {
                .server = call->server, .node = bus_call_path(call), .uid = call->uid, .want_names = true};
        CLEANUP(text_done) struct text xml = TEXT(INTROSPECTION_MAX);

        text_add(&xml, DBUS_INTROSPECT_1_0_XML_DOCTYPE_DECL_NODE "<node>\n");
        text_add(&xml, standard_xml);
        if (object)
                text_add(&xml, properties_xml);
        if (is_objects_root(object))
                text_add(&xml, objects_xml);
        for (const struct bus_interface *const *i = object ? object->interfaces : NULL; i && *i; i++)
                text_add(&xml, (*i)->introspection);
        search_children(&search);
        if (search.n)
                add_children(&xml, &search);
        for (size_t i = 0; i < search.n; i++)
                free(search.names[i]);
        free(search.names);
        text_add(&xml, "</node>\n");
        return search.failed ? error_no_memory(e) : text_finish(&xml, ret, e);
}

static enum err introspect(struct bus_call *call, const struct bus_object *object, struct error *e)
{
        CLEANUP(free_p) char *xml = NULL;
        struct bus_writer *w;
        enum err r = make_introspection(call, object, &xml, e);

        if (r)
                return r;
        w = bus_call_begin(call);
        bus_write_text(w, xml, INTROSPECTION_MAX);
        return bus_call_reply(call, w, e);
}

static void write_properties(struct bus_writer *w, const struct bus_object *object,
                             const struct bus_interface *interface, uid_t viewer)
{
        for (size_t i = 0; i < interface->n_properties; i++) {
                const struct bus_property *p = &interface->properties[i];

                bus_entry_open(w, p->name, p->signature);
                p->get(object->object, viewer, w);
                bus_entry_close(w);
        }
}

void standard_write_interfaces(struct bus_writer *w, const struct bus_object *object, uid_t viewer)
{
        bus_open_array(w, "{sa{sv}}");
        for (const struct bus_interface *const *i = object->interfaces; *i; i++) {
                bus_open_entry(w);
                bus_write_string(w, (*i)->name);
                bus_open_array(w, "{sv}");
                write_properties(w, object, *i, viewer);
                bus_close(w);
                bus_close(w);
        }
        bus_close(w);
}

/* ""  stands for all interfaces. NULL with the call answered: there is none. */
static bool find_interface(struct bus_call *call, const struct bus_object *object, const char *name,
                           const struct bus_interface **ret)
{
        *ret = NULL;
        if (!*name)
                return true;
        for (const struct bus_interface *const *i = object->interfaces; *i; i++) {
                if (strcmp((*i)->name, name) == 0) {
                        *ret = *i;
                        return true;
                }
        }
        call_fail_name(call, DBUS_ERROR_UNKNOWN_INTERFACE, "There is no interface %.128s on this object",
                       name);
        return false;
}

static const struct bus_property *find_property(struct bus_call *call, const struct bus_object *object,
                                                const struct bus_interface *wanted, const char *name)
{
        for (const struct bus_interface *const *i = object->interfaces; *i; i++) {
                if (wanted && *i != wanted)
                        continue;
                for (size_t j = 0; j < (*i)->n_properties; j++)
                        if (strcmp((*i)->properties[j].name, name) == 0)
                                return &(*i)->properties[j];
        }
        call_fail_name(call, DBUS_ERROR_UNKNOWN_PROPERTY, "There is no property %.128s on this object", name);
        return NULL;
}

/* Get and Set begin alike. *ret NULL: the call is answered. */
static enum err read_property(struct bus_call *call, const struct bus_object *object,
                              const struct bus_property **ret, struct error *e)
{
        struct bus_reader *r = bus_call_reader(call);
        const struct bus_interface *interface;
        const char *interface_name, *name;
        enum err err = bus_read_string(r, "interface_name", &interface_name, e);

        if (err || (err = bus_read_string(r, "property_name", &name, e)))
                return err;
        *ret = find_interface(call, object, interface_name, &interface)
                       ? find_property(call, object, interface, name)
                       : NULL;
        return ERR_OK;
}

static enum err properties_get(struct bus_call *call, const struct bus_object *object, struct error *e)
{
        const struct bus_property *property;
        struct bus_writer *w;
        enum err r = read_property(call, object, &property, e);

        if (r || !property)
                return r;
        w = bus_call_begin(call);
        bus_open_variant(w, property->signature);
        property->get(object->object, server_viewer(call->server, call->uid), w);
        bus_close(w);
        return bus_call_reply(call, w, e);
}

static enum err properties_set(struct bus_call *call, const struct bus_object *object, struct error *e)
{
        const struct bus_property *property;
        enum err r = read_property(call, object, &property, e);

        if (r || !property)
                return r;
        call_fail_name(call, DBUS_ERROR_PROPERTY_READ_ONLY, "Property %s can only be read", property->name);
        return ERR_OK;
}

static enum err properties_get_all(struct bus_call *call, const struct bus_object *object, struct error *e)
{
        const struct bus_interface *wanted;
        const char *name;
        struct bus_writer *w;
        enum err r = bus_read_string(bus_call_reader(call), "interface_name", &name, e);

        if (r || !find_interface(call, object, name, &wanted))
                return r;
        w = bus_call_begin(call);
        bus_open_array(w, "{sv}");
        for (const struct bus_interface *const *i = object->interfaces; *i; i++)
                if (!wanted || *i == wanted)
                        write_properties(w, object, *i, server_viewer(call->server, call->uid));
        bus_close(w);
        return bus_call_reply(call, w, e);
}

struct managed_objects {
        struct bus_call *call;
        struct bus_writer *w;
        uid_t viewer;
};

static void visit_managed(void *ctx, const struct bus_object *object)
{
        struct managed_objects *m = ctx;

        /* The root of the objects is not one of them (D-Bus Specification, ObjectManager). */
        if (is_objects_root(object) || !server_may_see(m->call->server, object, m->call->uid))
                return;
        bus_open_entry(m->w);
        bus_write_path(m->w, object->path);
        standard_write_interfaces(m->w, object, m->viewer);
        bus_close(m->w);
}

static enum err get_managed_objects(struct bus_call *call, const struct bus_object *object, struct error *e)
{
        const struct bus_tree *tree = &call->server->setup.tree;
        struct managed_objects m = {call, NULL, server_viewer(call->server, call->uid)};
        enum err r = bus_call_subscribe(call, e);

        (void)object;
        if (r)
                return r;
        m.w = bus_call_begin(call);
        bus_open_array(m.w, "{oa{sa{sv}}}");
        tree->each(tree->ctx, visit_managed, &m);
        bus_close(m.w);
        return bus_call_reply(call, m.w, e);
}

static const struct {
        const char *interface, *member, *in;
        bool on_nodes, on_root_only;
        enum err (*call)(struct bus_call *call, const struct bus_object *object, struct error *e);
} standard_methods[] = {
        {BUS_INTERFACE_INTROSPECT, "Introspect", "", true, false, introspect},
        {BUS_INTERFACE_PROPERTIES, "Get", "ss", false, false, properties_get},
        {BUS_INTERFACE_PROPERTIES, "GetAll", "s", false, false, properties_get_all},
        {BUS_INTERFACE_PROPERTIES, "Set", "ssv", false, false, properties_set},
        {BUS_INTERFACE_OBJECTS, "GetManagedObjects", "", false, true, get_managed_objects},
};

bool standard_call(struct bus_call *call, const struct bus_object *object)
{
        const char *interface = dbus_message_get_interface(call->message);

        for (size_t i = 0; i < N_ELEMENTS(standard_methods); i++) {
                struct error e = {0};
                enum err r;

                if (strcmp(standard_methods[i].member, bus_call_member(call)) != 0 ||
                    (interface && strcmp(standard_methods[i].interface, interface) != 0))
                        continue;
                if ((!object && !standard_methods[i].on_nodes) ||
                    (standard_methods[i].on_root_only && !is_objects_root(object)))
                        return false;
                if (strcmp(dbus_message_get_signature(call->message), standard_methods[i].in) != 0) {
                        call_fail_name(call, DBUS_ERROR_INVALID_ARGS,
                                       "Method %s takes arguments of type '%s'", standard_methods[i].member,
                                       standard_methods[i].in);
                        return true;
                }
                r = standard_methods[i].call(call, object, &e);
                if (r && !call->answered)
                        bus_call_fail(call, &e);
                return true;
        }
        return false;
}
