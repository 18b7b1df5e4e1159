#include "recorded.h"

#include <openssl/pem.h>

#include "fuzz.h"

static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBgTCCASegAwIBAgIUFhlKuaG/cZiD0ergpozxjA3AAzIwCgYIKoZIzj0EAwIw\n"
                             "DTELMAkGA1UEAwwCQ0EwIBcNMjYxMTIyMTEzNTIwWhgPMjEyNjEwMjkxMTM1MjBa\n"
                             "MA0xCzAJBgNVBAMMAkNBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGVNE7NHS\n"
                             "Q2QpoRZd/JUgiB6AOs/SOiyOdbiMM9r1QiuKwTMDNJXSMi32cUhUN2Tc3jV5uhTa\n"
                             "8CQb+0agZmkm0qNjMGEwHQYDVR0OBBYEFESohlbk+TzD5Si+Y90iuzyMN3ntMB8G\n"
                             "A1UdIwQYMBaAFESohlbk+TzD5Si+Y90iuzyMN3ntMA4GA1UdDwEB/wQEAwIBhjAP\n"
                             "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDKzUl06Vu8RQd4Uhrr\n"
                             "kzB6l9Kve0vH9uoNBtVJ00MDqQIgK0t1iUcuhAWqeMTEM/ujd2BcBH84SrsXk9QG\n"
                             "19KsqWY=\n"
                             "-----END CERTIFICATE-----\n";
static const char ca_key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                 "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAM5vQpBeNcswKGrN\n"
                                 "xr4Q2nMWzi0h0gMyyfWQCzRClUGhRANCAAQZU0Ts0dJDZCmhFl38lSCIHoA6z9I6\n"
                                 "LI51uIwz2vVCK4rBMwM0ldIyLfZxSFQ3ZNzeNXm6FNrwJBv7RqBmaSbS\n"
                                 "-----END PRIVATE KEY-----\n";
static const char own_pem[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIB9TCCAZqgAwIBAgIBAjAKBggqhkjOPQQDAjANMQswCQYDVQQDDAJDQTAgFw0y\n"
                              "NjExMjIxMTM1MjBaGA8yMTI2MTAyOTExMzUyMFowETEPMA0GA1UEAwwGZGV2aWNl\n"
                              "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDGYsDrZU4i0BkroutCP+bj+hqt\n"
                              "K2Ng7Qf8Gh9QfLrlJ14WorZ30m98Y/ceA48F1PM4OH+sF3uM8cijt9OtZJIIgKpH\n"
                              "kQ3BHKTFsxOiqeYXneGS03rUJWWiBAV82Pe+NTxi2NK/fW/R+e7L+7+ro81fY268\n"
                              "AkVS0y7Dv1WDj6LNEQIDAQABo4GdMIGaMAkGA1UdEwQCMAAwCwYDVR0PBAQDAgWg\n"
                              "MBMGA1UdJQQMMAoGCCsGAQUFBwMCMAwGA1UdEQQFMAOCAWEwHQYDVR0fBBYwFDAS\n"
                              "oBCgDoYMaHR0cDovL2EvY3JsMB0GA1UdDgQWBBTP0uehTDa5rgmygzZyjXY3M9Ai\n"
                              "ATAfBgNVHSMEGDAWgBREqIZW5Pk8w+UovmPdIrs8jDd57TAKBggqhkjOPQQDAgNJ\n"
                              "ADBGAiEAkddmmoZ3BBJJY49sEPJT8bWKqNWzDAEIss0QmDZTrqoCIQDca3Z1gYtn\n"
                              "XkKphsjdZ00PzJ7p/M3hPYUJsc037SLFuQ==\n"
                              "-----END CERTIFICATE-----\n";
static const char own_key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAMZiwOtlTiLQGSui\n"
                                  "60I/5uP6Gq0rY2DtB/waH1B8uuUnXhaitnfSb3xj9x4DjwXU8zg4f6wXe4zxyKO3\n"
                                  "061kkgiAqkeRDcEcpMWzE6Kp5hed4ZLTetQlZaIEBXzY9741PGLY0r99b9H57sv7\n"
                                  "v6ujzV9jbrwCRVLTLsO/VYOPos0RAgMBAAECgYBSjfXJ/zYstnxC9GECCKWEaSeA\n"
                                  "uHV6eCjCd/xf+gesJF26/asA4ckS8mZ7Tu/NdXhhBOHcM0lutY7Q0kZ7+UXrGDnG\n"
                                  "9Pfvrdi8ZRNk/XYFEdg4mW9T3UDZrjwDJhZ9aNajvU4vANHCYV8Qe632CB9N30vm\n"
                                  "nF9FNt1xob+tU2HyAQJBAOhZU2C3uYRFq/YnCnGZSiGMfqVZ8MJXdKKvwlysjSAc\n"
                                  "zWQ4z0z9RLNMYhB9aP1Lj5HMHsVhzR5uU7kbZLqKWykCQQDalGWrbX2qdy9iz9BO\n"
                                  "4B2wUuDMp8jpDmmdggWPpyaTUhR60PFTNZ6X8vlADlp5P+WcE1oZnSSgE1aTF/Xz\n"
                                  "qoepAkBS23/zTrF2rQ3c0yFTT3HzMtH7D27fLybl2T27pMETAZJxOh0a/HqiYgva\n"
                                  "i46EPYzuVldm1jC6uGdc7JroNuy5AkB2yJRjz9Gt9K00tpiOdK7Npoxxy3Ccbm+o\n"
                                  "4ALjqUOGZeGpSKkMviPckXcwf1xdbgL6iW26Y7KGp1ux/iBz9aVZAkEAypAYPORQ\n"
                                  "Wxr2ubFUqNVDDyBRl+jxGqf+2RKjN+0uPEEk9cc0jkWUncd1sVddUmKyQGV0Yqgl\n"
                                  "hjMhXZatYAS2iA==\n"
                                  "-----END PRIVATE KEY-----\n";

static X509 *cert(const char *pem)
{
        CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf(pem, -1);
        X509 *ret = PEM_read_bio_X509(in, NULL, NULL, NULL);

        fuzz_promise(ret != NULL, "the certificate is read");
        return ret;
}

static EVP_PKEY *key(const char *pem)
{
        CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf(pem, -1);
        EVP_PKEY *ret = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);

        fuzz_promise(ret != NULL, "the key is read");
        return ret;
}

const struct recorded *recorded(void)
{
        static struct recorded all;

        if (!all.ca) {
                all.ca = cert(ca_pem);
                all.ca_key = key(ca_key_pem);
                all.own = cert(own_pem);
                all.own_key = key(own_key_pem);
                all.signers = sk_X509_new_null();
                fuzz_promise(sk_X509_push(all.signers, all.ca) > 0, "the signer is kept");
        }
        return &all;
}
