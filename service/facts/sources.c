/*
 * Who is asked for which fact, in this order; the first value that can be one is taken. What the hardware or
 * its driver says goes before what somebody has written down; what an administrator has fixed for the service
 * (a credential) before both.
 */
#include <string.h>

#include "internal.h"

static const struct fact_source login = {
        .name = "the name services", .look = look_login, .none = "Give the user's uid an account again."};
static const struct fact_source short_login = {.name = "the login name", .look = look_short_login};

static const struct fact_source host_name = {
        .name = "the kernel's host name",
        .look = look_host_name,
        .none = "Give the machine a name: hostnamectl set-hostname NAME."};
static const struct fact_source static_name = {
        .name = "org.freedesktop.hostname1",
        .question = ask_static_name,
        .answer = read_static_name,
        .none = "Give the machine a name: hostnamectl set-hostname NAME."};

/* systemd-hostnamed runs as root, reads what only root may, and asks polkit about whoever wants to know. */
static const struct fact_source hardware_serial = {
        .name = "org.freedesktop.hostname1",
        .question = ask_serial,
        .answer = read_serial,
        .refused = "Allow the user of scepterd the polkit action "
                   "org.freedesktop.hostname1.get-hardware-serial with a rule in /etc/polkit-1/rules.d, or "
                   "give the service a credential scepter.serial."};
static const struct fact_source credential = {
        .name = "the service credential",
        .look = look_credential,
        .none = "Give the service a credential scepter.serial, or write SerialNumber= into its facts file "
                "(scepter.conf(5))."};
static const struct fact_source kernel_file = {.look = look_kernel_file};

static const struct fact_source wifi = {.look = look_wifi};
static const struct fact_source network_manager = {
        .name = "org.freedesktop.NetworkManager", .question = ask_network_manager, .answer = read_adapter};
static const struct fact_source modem_manager = {
        .name = "org.freedesktop.ModemManager1",
        .question = ask_modem_manager,
        .answer = read_modem,
        .absent = "Install and start ModemManager, or write the value into the facts file "
                  "(scepter.conf(5))."};

/* SSSD tells what the directory says of an account; which of it, and to whom, stands in sssd.conf. */
static const struct fact_source directory = {
        .name = "org.freedesktop.sssd.infopipe",
        .question = ask_directory,
        .answer = read_directory,
        .of_login = true,
        .absent = "Install and start SSSD's InfoPipe (sssd-dbus), or use a variable that does not need a "
                  "directory.",
        .refused = "Add the user of scepterd to allowed_uids in the section [ifp] of sssd.conf.",
        .none = "Name the attribute in user_attributes of [ifp] and in ldap_user_extra_attrs of the domain "
                "in sssd.conf, or give the user one in the directory."};

static const struct fact_source file = {
        .name = "the facts file",
        .look = look_facts_file,
        .refused = "Correct the facts file; it has to be root's, and neither group nor others may write it "
                   "(scepter.conf(5)).",
        .none = "Have the management agent, or root, write the value into the facts file (scepter.conf(5)), "
                "or use another variable."};

enum { STAND_IN = true };

const struct fact_row fact_rows[] = {
        /* The short name of the account, as Intune has it since 2019; never a principal name. */
        {FACT_USER_NAME, OWNER_USER, &login, NULL, false},

        {FACT_USER_PRINCIPAL_NAME, OWNER_USER, &directory, "userPrincipalName", false},
        {FACT_EMAIL_ADDRESS, OWNER_USER, &directory, "mail", false},
        /* The second is SSSD's own name for the first, which it has without being told to fetch it. */
        {FACT_DISTINGUISHED_NAME, OWNER_USER, &directory, "distinguishedName", false},
        {FACT_DISTINGUISHED_NAME, OWNER_USER, &directory, "originalDN", false},
        {FACT_SAM_ACCOUNT_NAME, OWNER_USER, &directory, "sAMAccountName", false},
        {FACT_SAM_ACCOUNT_NAME, OWNER_USER, &short_login, NULL, STAND_IN},
        {FACT_SECURITY_IDENTIFIER, OWNER_USER, &directory, "objectSIDString", false},
        {FACT_DEPARTMENT, OWNER_USER, &directory, "department", false},

        /* The machine's own SID: nothing here can tell it without the machine's password. */
        {FACT_SECURITY_IDENTIFIER, OWNER_DEVICE, &file, "DeviceSecurityIdentifier", false},
        /* Only who registered the machine knows these; they are never made up. */
        {FACT_AAD_DEVICE_ID, OWNER_ANY, &file, "AzureADDeviceId", false},
        {FACT_DEVICE_ID, OWNER_ANY, &file, "DeviceId", false},

        {FACT_SERIAL_NUMBER, OWNER_ANY, &credential, "scepter.serial", false},
        {FACT_SERIAL_NUMBER, OWNER_ANY, &hardware_serial, "GetHardwareSerial", false},
        {FACT_SERIAL_NUMBER, OWNER_ANY, &kernel_file, "/sys/class/dmi/id/product_serial", false},
        {FACT_SERIAL_NUMBER, OWNER_ANY, &kernel_file, "/sys/class/dmi/id/chassis_serial", false},
        {FACT_SERIAL_NUMBER, OWNER_ANY, &kernel_file, "/sys/class/dmi/id/board_serial", false},
        {FACT_SERIAL_NUMBER, OWNER_ANY, &kernel_file, "/proc/device-tree/serial-number", false},
        {FACT_SERIAL_NUMBER, OWNER_ANY, &file, "SerialNumber", false},

        {FACT_IMEI, OWNER_ANY, &modem_manager, "Modem.Modem3gpp.Imei", false},
        /* An IMEI where the modem is a GSM one; a CDMA modem's is no number of 14 to 16 digits. */
        {FACT_IMEI, OWNER_ANY, &modem_manager, "Modem.EquipmentIdentifier", false},
        {FACT_IMEI, OWNER_ANY, &file, "IMEI", false},
        {FACT_MEID, OWNER_ANY, &modem_manager, "Modem.ModemCdma.Meid", false},
        {FACT_MEID, OWNER_ANY, &file, "MEID", false},

        /* The address in the radio, which randomisation does not touch; never that of the interface. */
        {FACT_WIFI_MAC_ADDRESS, OWNER_ANY, &wifi, "/sys/class/net/*/phy80211/macaddress", false},
        {FACT_WIFI_MAC_ADDRESS, OWNER_ANY, &network_manager, "PermHwAddress", false},
        {FACT_WIFI_MAC_ADDRESS, OWNER_ANY, &file, "WiFiMacAddress", false},

        {FACT_DEVICE_NAME, OWNER_ANY, &static_name, "StaticHostname", false},
        /* It may be a transient one: only where there is no static name, or nobody who manages one. */
        {FACT_DEVICE_NAME, OWNER_ANY, &host_name, NULL, STAND_IN},
        {FACT_DEVICE_NAME, OWNER_ANY, &file, "DeviceName", STAND_IN},

        /* realmd and SSSD know the domain's name, not the machine's in it: put together it would be a guess.
         * A static name with its domain is one somebody has written so. */
        {FACT_FULLY_QUALIFIED_DOMAIN_NAME, OWNER_ANY, &file, "FullyQualifiedDomainName", false},
        {FACT_FULLY_QUALIFIED_DOMAIN_NAME, OWNER_ANY, &static_name, "StaticHostname", false},

        {_FACT_MAX, OWNER_ANY, NULL, NULL, false},
};

size_t fact_row_next(size_t i, enum fact fact, bool of_user)
{
        const enum fact_owner owner = of_user ? OWNER_USER : OWNER_DEVICE;

        while (fact_rows[i].source && (fact_rows[i].fact != fact ||
                                       (fact_rows[i].owner != OWNER_ANY && fact_rows[i].owner != owner)))
                i++;
        return i;
}

/* The keys of the facts file are those of its rows. */
bool facts_file_knows(const char *key)
{
        for (const struct fact_row *row = fact_rows; row->source; row++)
                if (row->source == &file && strcmp(row->key, key) == 0)
                        return true;
        return false;
}
