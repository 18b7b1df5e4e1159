/* What of ksp.h needs neither a key nor a TPM: the table of protections, and words. */
#include "ksp.h"

static const char *const state_names[] = {
        [KSP_TPM_READY] = "ready", [KSP_TPM_ABSENT] = "absent", [KSP_TPM_FAILING] = "failing"};

const char *ksp_tpm_state_name(enum ksp_tpm_state state)
{
        return state_names[state];
}

enum ksp_place ksp_decide(enum key_protection protection, enum err tpm, bool no_downgrade)
{
        bool missing = tpm == ERR_TPM_ABSENT || tpm == ERR_KEY_NOT_SUPPORTED;

        if (protection == KEY_PROTECTION_SOFTWARE)
                return KSP_IN_SOFTWARE;
        if (tpm == ERR_OK)
                return KSP_IN_TPM;
        /* A fault is not an absence: no silent downgrade. */
        if (protection == KEY_PROTECTION_TPM_PREFERRED && missing && !no_downgrade)
                return KSP_IN_SOFTWARE;
        return KSP_REFUSED;
}

const char *ksp_attribute_name(unsigned bit)
{
        static const struct {
                unsigned bit;
                const char *name;
        } names[] = {
                {KSP_FIXED_TPM, "fixedTPM"},
                {KSP_FIXED_PARENT, "fixedParent"},
                {KSP_SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin"},
                {KSP_NO_DA, "noDA"},
                {KSP_SIGN, "sign"},
                {KSP_DECRYPT, "decrypt"},
                {KSP_USER_WITH_AUTH, "userWithAuth"},
        };

        for (size_t i = 0; i < N_ELEMENTS(names); i++)
                if (names[i].bit == bit)
                        return names[i].name;
        return "?";
}
