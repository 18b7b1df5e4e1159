/* Native profiles. What is read is written and read again. */
#include "fuzz-documents.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_document(DOCUMENT_INI, data, size);
        return 0;
}
