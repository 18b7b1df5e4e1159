#include "private-bus.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int ok, const char *what)
{
        if (ok)
                return;
        perror(what);
        exit(1);
}

static void write_config(const struct private_bus *bus)
{
        char path[128];
        FILE *f;

        snprintf(path, sizeof path, "%s/bus.conf", bus->dir);
        f = fopen(path, "we");
        must(f != NULL, path);
        fprintf(f,
                "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
                " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
                "<busconfig><type>system</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
                "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow "
                "send_destination=\"*\"/>"
                "<allow send_type=\"signal\"/><allow receive_type=\"signal\"/><allow "
                "receive_sender=\"*\"/></policy>\n"
                "</busconfig>\n",
                bus->dir);
        must(fclose(f) == 0, path);
}

static void run_daemon(const struct private_bus *bus, int out)
{
        char config[128], print[32];

        /* No bus outlives its test, however that ends. */
        must(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0, "prctl");
        must(dup2(out, 3) >= 0, "dup2");
        snprintf(config, sizeof config, "--config-file=%s/bus.conf", bus->dir);
        snprintf(print, sizeof print, "--print-address=%d", 3);
        execl(DBUS_DAEMON, "dbus-daemon", config, "--nofork", "--nopidfile", "--nosyslog", print,
              (char *)NULL);
        perror(DBUS_DAEMON);
        _exit(127);
}

void private_bus_start(struct private_bus *bus)
{
        int pipe_fd[2];
        FILE *f;

        strcpy(bus->dir, "/tmp/scepter-bus-XXXXXX");
        must(mkdtemp(bus->dir) != NULL, "mkdtemp");
        must(chmod(bus->dir, 0711) == 0, "chmod");
        write_config(bus);
        must(pipe2(pipe_fd, O_CLOEXEC) == 0, "pipe2");
        bus->pid = fork();
        must(bus->pid >= 0, "fork");
        if (bus->pid == 0)
                run_daemon(bus, pipe_fd[1]);
        close(pipe_fd[1]);
        f = fdopen(pipe_fd[0], "r");
        must(f && fgets(bus->address, sizeof bus->address, f), "dbus-daemon did not start");
        bus->address[strcspn(bus->address, "\n,")] = 0;
        fclose(f);
}

void private_bus_stop(struct private_bus *bus)
{
        char path[128];

        kill(bus->pid, SIGTERM);
        waitpid(bus->pid, NULL, 0);
        snprintf(path, sizeof path, "%s/bus.conf", bus->dir);
        unlink(path);
        snprintf(path, sizeof path, "%s/bus", bus->dir);
        unlink(path);
        rmdir(bus->dir);
}
