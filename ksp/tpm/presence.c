/* Absence, which a profile may answer with a software key, told apart from a fault, which it may not (design
 * §4). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tpm.h"

#include "base/file.h"

/* "/dev/tpmrm0" of "device:/dev/tpmrm0"; NULL for other transports, whose absence cannot be told from a
 * fault. */
static const char *device_node(const char *tcti)
{
        static const char device[] = "device", library[] = "libtss2-tcti-device.so.0";

        if (strncmp(tcti, library, sizeof library - 1) == 0)
                tcti += sizeof library - 1;
        else if (strncmp(tcti, device, sizeof device - 1) == 0)
                tcti += sizeof device - 1;
        else
                return NULL;
        if (*tcti == ':' && tcti[1])
                return tcti + 1;
        return *tcti == ':' || !*tcti ? "/dev/tpmrm0" : NULL;
}

static bool sysfs_announces(const char *sysroot, bool *ret_old)
{
        char path[512];
        CLEANUP(closedir_p) DIR *dir = NULL;
        struct dirent *entry;
        bool found = false;

        *ret_old = false;
        (void)snprintf(path, sizeof path, "%s/sys/class/tpm", sysroot);
        dir = opendir(path);
        while (dir && (entry = readdir(dir))) {
                CLEANUP(bytes_done) struct bytes version = {0};

                if (entry->d_name[0] == '.')
                        continue;
                found = true;
                (void)snprintf(path, sizeof path, "%.255s/tpm_version_major", entry->d_name);
                if (file_read(dirfd(dir), path, 16, &version, NULL) == ERR_OK && version.data[0] == '1')
                        *ret_old = true;
        }
        return found;
}

enum err tpm_presence(const char *tcti, const char *sysroot, struct error *e)
{
        char path[512];
        const char *node;
        struct stat st;
        bool announced, old;

        if (!tcti || !*tcti || strcmp(tcti, "none") == 0) {
                (void)error_set(e, ERR_TPM_ABSENT, "This machine is configured to have no TPM (Tcti=none)");
                return error_remedy(e, ERR_TPM_ABSENT,
                                    "Take Tcti=none out of scepter.conf, or use a profile with "
                                    "Protection=tpm-preferred or software.");
        }
        node = device_node(tcti);
        if (!node)
                return ERR_OK;
        (void)snprintf(path, sizeof path, "%s%s", sysroot, node);
        if (stat(path, &st) == 0) {
                if (access(path, R_OK | W_OK) == 0)
                        return ERR_OK;
                return error_set(e, ERR_TPM_PERMISSION, "The TPM device %s may not be opened (%s)", node,
                                 strerror(errno));
        }
        if (errno == EACCES) /* what nobody may look at is not absent */
                return error_set(e, ERR_TPM_PERMISSION, "The TPM device %s may not be reached (%s)", node,
                                 strerror(errno));
        announced = sysfs_announces(sysroot, &old);
        if (old)
                return error_set(e, ERR_TPM_ABSENT,
                                 "This machine has a TPM 1.2, which cannot hold these keys");
        (void)snprintf(path, sizeof path, "%s/sys/firmware/acpi/tables/TPM2", sysroot);
        if (!announced && access(path, F_OK) < 0)
                return error_set(e, ERR_TPM_ABSENT, "This machine has no TPM (%s does not exist)", node);
        (void)error_set(e, ERR_TPM_FAILED, "The firmware announces a TPM, but %s does not exist", node);
        return error_remedy(
                e, ERR_TPM_FAILED,
                "Load the kernel's TPM driver (tpm_crb or tpm_tis); 'journalctl -k -g tpm' tells more.");
}
