/* Which of the kernel's TPMs is meant where nobody has said it. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tpm.h"

#include "base/parse.h"

enum { NUMBER_MAX = 65535 }; /* the kernel counts to as many (drivers/char/tpm/tpm-chip.c) */

const char *tpm_choose(const char *tcti, const char *sysroot, char ret[TPM_CHOSEN_MAX])
{
        static const char prefix[] = "tpmrm";
        char path[512];
        CLEANUP(closedir_p) DIR *dir = NULL;
        const struct dirent *entry;
        uint64_t number, lowest = NUMBER_MAX + 1;

        if (!tcti || strcmp(tcti, "auto") != 0)
                return tcti;
        (void)snprintf(path, sizeof path, "%s/dev", sysroot);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)))
                if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0 &&
                    parse_u64(entry->d_name + sizeof prefix - 1, NUMBER_MAX, &number) && number < lowest)
                        lowest = number;
        (void)snprintf(ret, TPM_CHOSEN_MAX, "device:/dev/%s%u", prefix,
                       lowest > NUMBER_MAX ? 0 : (unsigned)lowest);
        return ret;
}
