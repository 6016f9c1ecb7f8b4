/* The receptionist's file, and questions to it: the input is the file up to a line "?", and behind
 * it the question. A file that is taken answers. */
#include "upstream/receptionist.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/fuzz.h"

enum { ARENA_CAP = 4 * 1024 * 1024, INPUT_MAX = 64 * 1024 };

static struct sb_receptionist *load(const uint8_t *data, size_t size)
{
    char path[64], problem[256] = "untouched";
    int fd = memfd_create("receptionist", MFD_CLOEXEC);
    FUZZ_REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct sb_receptionist *receptionist = sb_receptionist_load(path, problem, sizeof problem);
    close(fd);
    FUZZ_REQUIRE((receptionist == NULL) == (strcmp(problem, "untouched") != 0));
    FUZZ_REQUIRE(receptionist != NULL || *problem != '\0');
    return receptionist;
}

static void check_answers(struct sb_arena *arena, const struct sb_receptionist *receptionist,
                          const char *question)
{
    struct sb_receptionist_answer answer;
    const char *prompt = sb_receptionist_prompt(receptionist, arena);
    FUZZ_REQUIRE(prompt != NULL && strstr(prompt, "\nFacts:\n- ") != NULL);
    FUZZ_REQUIRE(sb_receptionist_answer(receptionist, arena, question, &answer));
    FUZZ_REQUIRE(answer.score >= 0 && answer.score <= 100);
    FUZZ_REQUIRE((answer.intent != NULL) == (answer.score >= SB_RECEPTIONIST_UNDERSTOOD));
    FUZZ_REQUIRE(answer.text != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sb_arena *arena;
    if (arena == NULL)
        arena = sb_arena_new(ARENA_CAP);
    FUZZ_REQUIRE(arena != NULL);
    if (size > INPUT_MAX)
        return 0;
    const uint8_t *end = size == 0 ? NULL : memmem(data, size, "\n?\n", 3);
    size_t length = end == NULL ? size : (size_t)(end - data);
    struct sb_receptionist *receptionist = load(data, length);
    if (receptionist != NULL) {
        const char *question =
            end == NULL ? "" : sb_arena_strndup(arena, (const char *)end + 3, size - length - 3);
        FUZZ_REQUIRE(question != NULL);
        check_answers(arena, receptionist, question);
        sb_receptionist_free(receptionist);
    }
    sb_arena_reset(arena);
    return 0;
}
