/* SyncML messages of a management service. */
#include "fuzz-documents.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_document(DOCUMENT_SYNCML, data, size);
        return 0;
}
