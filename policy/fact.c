#include "policy/fact.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

static const struct {
        const char *text;
        bool user;
} fact_table[_FACT_MAX] = {
        [FACT_USER_NAME] = {"login name of the user", true},
        [FACT_USER_PRINCIPAL_NAME] = {"principal name of the user (user@domain)", true},
        [FACT_EMAIL_ADDRESS] = {"e-mail address of the user", true},
        [FACT_DISTINGUISHED_NAME] = {"distinguished name of the user in the directory", true},
        [FACT_SAM_ACCOUNT_NAME] = {"account name of the user in the directory", true},
        [FACT_SECURITY_IDENTIFIER] = {"security identifier (SID) in the directory", true},
        [FACT_DEPARTMENT] = {"department of the user", true},
        [FACT_AAD_DEVICE_ID] = {"Entra device id of the machine", false},
        [FACT_DEVICE_ID] = {"Intune device id of the machine", false},
        [FACT_SERIAL_NUMBER] = {"serial number of the machine", false},
        [FACT_IMEI] = {"IMEI of the modem", false},
        [FACT_MEID] = {"MEID of the modem", false},
        [FACT_WIFI_MAC_ADDRESS] = {"permanent MAC address of the Wi-Fi adapter", false},
        [FACT_DEVICE_NAME] = {"static host name of the machine", false},
        [FACT_FULLY_QUALIFIED_DOMAIN_NAME] = {"fully qualified name of the machine in its domain", false},
};

const char *fact_text(enum fact fact)
{
        return fact_table[fact].text;
}

bool fact_of_user(enum fact fact)
{
        return fact_table[fact].user;
}

bool serial_is_placeholder(const char *serial)
{
        static const char *const placeholders[] = {
                "To Be Filled By O.E.M.",
                "To be filled by O.E.M",
                "Default string",
                "None",
                "System Serial Number",
                "Not Specified",
                "Not Applicable",
                "N/A",
                "Unknown",
                "Chassis Serial Number",
                "Base Board Serial Number",
                "Serial Number",
                "SerialNumber",
                "0123456789",
                "123456789",
                "INVALID",
                "Empty",
        };

        if (strspn(serial, "0 .-") == strlen(serial))
                return true;
        for (size_t i = 0; i < N_ELEMENTS(placeholders); i++)
                if (strcasecmp(placeholders[i], serial) == 0)
                        return true;
        return false;
}

void fact_trim(char *value)
{
        size_t start = strspn(value, " \t\r\n"), len = strlen(value);

        while (len > start && strchr(" \t\r\n", value[len - 1]))
                len--;
        memmove(value, value + start, len - start);
        value[len - start] = 0;
}

const char *fact_unusable(enum fact fact, const char *value)
{
        if (!*value)
                return "is empty";
        if (strlen(value) > FACT_VALUE_MAX || !utf8_valid(str_view(value)))
                return "is too long or not UTF-8";
        for (const char *p = value; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return "holds control characters";
        if (fact == FACT_SERIAL_NUMBER && serial_is_placeholder(value))
                return "is a placeholder of the firmware that many machines share";
        return NULL;
}

/* One of: a name no machine calls itself by. */
static bool is_localhost(const char *name)
{
        static const char localhost[] = "localhost";

        return strncasecmp(name, localhost, sizeof localhost - 1) == 0 &&
               (!name[sizeof localhost - 1] || name[sizeof localhost - 1] == '.');
}

static const char *settle_device_name(char *value)
{
        if (is_localhost(value))
                return "is localhost, which is no machine's name";
        value[strcspn(value, ".")] = 0;
        return *value ? NULL : "begins with a dot";
}

static const char *settle_domain_name(char *value)
{
        static const char *const letters =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
        size_t len = strlen(value);

        if (len && value[len - 1] == '.')
                value[--len] = 0;
        if (is_localhost(value))
                return "is localhost, which is no machine's name";
        if (strspn(value, letters) != len || *value == '.' || !strchr(value, '.') || strstr(value, ".."))
                return "is no host name with its domain";
        return NULL;
}

/*
 * Intune's documents show no spelling. Twelve digits without separators are what its device list shows, what
 * a dns: name can hold, and what RADIUS servers compare after they have taken all separators out.
 */
static const char *settle_mac(char *value)
{
        uint8_t octets[6];
        size_t len, i;

        for (char *p = value; *p; p++)
                if (*p == '-')
                        *p = ':';
        if (strlen(value) < 12 || !hex_decode(value, octets, sizeof octets, &len) || len != sizeof octets)
                return "is no MAC address";
        for (i = 0; i < sizeof octets && octets[i] == 0; i++)
                ;
        if (i == sizeof octets || octets[0] & 1)
                return "is no adapter's MAC address";
        for (i = 0; i < sizeof octets; i++)
                (void)snprintf(value + 2 * i, 3, "%02X", octets[i]);
        return NULL;
}

static const char *settle_meid(char *value)
{
        size_t len = strlen(value);

        /* TIA: 14 hexadecimal digits, or the same as 18 decimal ones. */
        if (len != 18 || strspn(value, "0123456789") != len) {
                if (len != 14 || strspn(value, "0123456789abcdefABCDEF") != len)
                        return "is no MEID";
                for (char *p = value; *p; p++)
                        *p = (char)toupper((unsigned char)*p);
        }
        return strspn(value, "0") == len ? "is no MEID" : NULL;
}

/* 14 digits, 15 with the check digit, 16 with the software's version. */
static bool is_imei(const char *value)
{
        size_t len = strlen(value);

        return len >= 14 && len <= 16 && strspn(value, "0123456789") == len && strspn(value, "0") != len;
}

static bool is_sid(const char *value)
{
        size_t len = strlen(value);

        return len > 6 && len <= 184 && strncmp(value, "S-1-", 4) == 0 &&
               strspn(value + 4, "0123456789-") == len - 4 && !strstr(value, "--") && value[len - 1] != '-';
}

static bool is_guid(const char *value)
{
        static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

        if (strlen(value) != sizeof shape - 1)
                return false;
        for (size_t i = 0; shape[i]; i++)
                if (shape[i] == '-' ? value[i] != '-' : !isxdigit((unsigned char)value[i]))
                        return false;
        return true;
}

/* user@domain: an @ with something on both sides. */
static bool is_address(const char *value)
{
        const char *at = strrchr(value, '@');

        return at && at != value && at[1];
}

const char *fact_settle(enum fact fact, char *value)
{
        const char *wrong;

        fact_trim(value);
        wrong = fact_unusable(fact, value);
        if (wrong)
                return wrong;
        switch (fact) {
        case FACT_DEVICE_NAME:
                return settle_device_name(value);
        case FACT_FULLY_QUALIFIED_DOMAIN_NAME:
                return settle_domain_name(value);
        case FACT_WIFI_MAC_ADDRESS:
                return settle_mac(value);
        case FACT_MEID:
                return settle_meid(value);
        case FACT_IMEI:
                return is_imei(value) ? NULL : "is no IMEI (14 to 16 digits)";
        case FACT_SECURITY_IDENTIFIER:
                return is_sid(value) ? NULL : "is no security identifier (S-1-…)";
        case FACT_AAD_DEVICE_ID:
        case FACT_DEVICE_ID:
                return is_guid(value) ? NULL : "is no device id (a GUID)";
        case FACT_USER_PRINCIPAL_NAME:
        case FACT_EMAIL_ADDRESS:
                return is_address(value) ? NULL : "is not of the form user@domain";
        case FACT_USER_NAME:
        case FACT_DISTINGUISHED_NAME:
        case FACT_SAM_ACCOUNT_NAME:
        case FACT_DEPARTMENT:
        case FACT_SERIAL_NUMBER:
        case _FACT_MAX:
                break;
        }
        return NULL;
}
