/* The HRESULT that Windows' SCEP CSP would show in ErrorCode for a failure of ours. Pure. */
#pragma once

#include <stdint.h>

/* @name: "NetworkError" and so on; 0 for "" (no failure). A name without a number of its own: E_FAIL. */
uint32_t hresult_of_error(const char *name);
