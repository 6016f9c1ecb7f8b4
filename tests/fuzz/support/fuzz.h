/* What every fuzz target has: libFuzzer's entry, and an assertion that no build option removes. */
#ifndef TESTS_FUZZ_SUPPORT_FUZZ_H
#define TESTS_FUZZ_SUPPORT_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* https://llvm.org/docs/LibFuzzer.html#fuzz-target */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
