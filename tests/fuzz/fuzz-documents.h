/* What a document became, used as the daemon uses it: over the wire, as profiles, as a file. */
#pragma once

#include "documents/document.h"

void fuzz_document(enum document_format format, const uint8_t *data, size_t size);
