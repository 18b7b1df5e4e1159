#include "agents/agents.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void agent_free(struct agent *agent)
{
        if (!agent)
                return;
        free(agent->name);
        free(agent->path);
        free(agent);
}

static void agent_free_p(struct agent **agent)
{
        agent_free(*agent);
}

static enum err room_for(const struct agents *agents, const char *name, uid_t uid, struct error *e)
{
        unsigned all = 0, same = 0;

        for (const struct agent *agent = agents->newest; agent; agent = agent->older) {
                if (strcmp(agent->name, name) == 0)
                        return error_set(e, ERR_EXISTS, "This connection has an agent already");
                all++;
                same += agent->uid == uid;
        }
        if (same >= AGENTS_PER_USER)
                return error_set(e, ERR_LIMIT, "A user has at most %d agents", AGENTS_PER_USER);
        return all < AGENTS_MAX ? ERR_OK : error_set(e, ERR_LIMIT, "There are %u agents already", all);
}

enum err agents_add(struct agents *agents, const char *name, const char *path, uid_t uid, struct error *e)
{
        CLEANUP(agent_free_p) struct agent *agent = NULL;
        enum err r = room_for(agents, name, uid, e);

        if (r)
                return r;
        agent = calloc(1, sizeof *agent);
        if (!agent)
                return error_no_memory(e);
        agent->name = strdup(name);
        agent->path = strdup(path);
        if (!agent->name || !agent->path)
                return error_no_memory(e);
        agent->uid = uid;
        agent->number = ++agents->last;
        agent->older = agents->newest;
        agents->newest = STEAL(agent);
        return ERR_OK;
}

bool agents_remove(struct agents *agents, const char *name, const char *path)
{
        for (struct agent **link = &agents->newest; *link; link = &(*link)->older) {
                struct agent *agent = *link;

                if (strcmp(agent->name, name) != 0 || (path && strcmp(agent->path, path) != 0))
                        continue;
                *link = agent->older;
                agent_free(agent);
                return true;
        }
        return false;
}

const struct agent *agents_find(const struct agents *agents, uid_t uid, uint64_t below, uint64_t above)
{
        for (const struct agent *agent = agents->newest; agent && agent->number > above; agent = agent->older)
                if (agent->uid == uid && agent->number < below)
                        return agent;
        return NULL;
}

void agents_done(struct agents *agents)
{
        while (agents->newest) {
                struct agent *agent = agents->newest;

                agents->newest = agent->older;
                agent_free(agent);
        }
}
