/* store/json-text without memory: each request of a reading fails in turn, once or from there on, and no
 * value comes back that the text does not hold. */
#include "test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/json-text.h"

static const char text[] =
        "{\"profile\": \"cb3e285619805740669d314550b9fc8a\", \"requested\": 1795400000,"
        " \"notes\": [\"a text that is longer than what jansson keeps at first, by far\"]}";

/* The request that fails, counted down to 0; and whether all after it do. */
static unsigned countdown;
static bool stays, failed;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool refuses(void)
{
        if (!countdown || --countdown)
                return false;
        countdown = stays;
        failed = true;
        return true;
}

void *__wrap_malloc(size_t size)
{
        return refuses() ? NULL : __real_malloc(size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
        return refuses() ? NULL : __real_reallocarray(p, n, size);
}

static enum err read_failing(unsigned nth, json_t **ret, struct error *e)
{
        enum err r;

        failed = false;
        countdown = nth;
        r = json_text_read(str_view(text), ret, e);
        countdown = 0;
        return r;
}

static void each_request_fails(void **state)
{
        (void)state;
        for (int all = 0; all < 2; all++) {
                unsigned nth = 0;

                stays = all;
                do {
                        struct error e = {0};
                        json_t *root = NULL;
                        enum err r = read_failing(++nth, &root, &e);

                        if (failed) {
                                assert_int_equal(r, ERR_NO_MEMORY);
                                assert_int_equal(e.code, ERR_NO_MEMORY);
                                assert_null(root);
                                continue;
                        }
                        expect_ok(r);
                        assert_string_equal(json_string_value(json_object_get(root, "profile")),
                                            "cb3e285619805740669d314550b9fc8a");
                        assert_int_equal(json_integer_value(json_object_get(root, "requested")), 1795400000);
                        json_decref(root);
                } while (failed);
                assert_true(nth > 10);
        }
}

static void refusals(void **state)
{
        static const char *const wrong[] = {"", "{", "[]", "1", "{\"a\": 1, \"a\": 2}", "{\"a\": 1} x"};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
                struct error e = {0};
                json_t *root = NULL;

                expect_err(json_text_read(str_view(wrong[i]), &root, &e), ERR_CONFIG);
                assert_null(root);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_request_fails),
                cmocka_unit_test(refusals),
        };

        return cmocka_run_group_tests_name("store/json-text", tests, NULL, NULL);
}
