/* What cron and logrotate are told. */
#include <string.h>

#include "doctor.h"

/* A unit test holds this list against cron/switchboard. */
const char *const doctor_cron_verbs[] = {"clean", "jwks refresh", "outbox send", "realtime reap",
                                         NULL};

enum { WORDS_MAX = 64 };

/* The words of the line at *text, in arena; *text moves to the next line. */
static size_t take_line(struct sb_arena *arena, const char **text, const char *words[WORDS_MAX])
{
    size_t count = 0, length = strcspn(*text, "\n");
    char *rest = sb_arena_strndup(arena, *text, length), *word;
    *text += length + ((*text)[length] == '\n');
    while (rest != NULL && count < WORDS_MAX && (word = strsep(&rest, " \t\r")) != NULL) {
        if (*word != '\0')
            words[count++] = word;
    }
    return count > 0 && *words[0] == '#' ? 0 : count;
}

/* Whether word is the program name, by itself or at the end of a path. */
static bool names_program(const char *word, const char *name)
{
    const char *slash = strrchr(word, '/');
    return strcmp(slash == NULL ? word : slash + 1, name) == 0;
}

/* Whether the words, count of them, begin with those of verb ("realtime reap"). */
static bool begin_with(const char *const *words, size_t count, const char *verb)
{
    for (size_t i = 0; i < count && *verb != '\0'; i++) {
        size_t length = strcspn(verb, " ");
        if (strlen(words[i]) != length || memcmp(words[i], verb, length) != 0)
            return false;
        verb += length + (verb[length] == ' ');
    }
    return *verb == '\0';
}

const char *doctor_cron_user(struct sb_arena *arena, const char *text, const char *verb,
                             bool with_user)
{
    const char *words[WORDS_MAX];
    while (*text != '\0') {
        size_t count = take_line(arena, &text, words);
        size_t command = count > 0 && *words[0] == '@' ? 1 : 5; /* crontab(5) */
        if (with_user)
            command++;
        for (size_t i = command; i < count; i++) {
            if (names_program(words[i], "switchboard") &&
                begin_with(words + i + 1, count - i - 1, verb))
                return with_user ? words[command - 1] : "";
        }
    }
    return NULL;
}

/* Whether word, in quotes or not, is a pattern for the logs in directory. */
static bool is_pattern_of(const char *word, const char *directory)
{
    size_t length = strlen(directory);
    word += *word == '"';
    return strncmp(word, directory, length) == 0 && word[length] == '/' &&
           strstr(word + length, ".log") != NULL && strchr(word + length + 1, '/') == NULL;
}

bool doctor_logrotate_covers(struct sb_arena *arena, const char *text, const char *directory,
                             const char **user)
{
    const char *words[WORDS_MAX];
    bool covers = false, inside = false;
    *user = NULL;
    while (*text != '\0') {
        size_t count = take_line(arena, &text, words);
        if (inside && count >= 2 && strcmp(words[0], "su") == 0)
            *user = words[1];
        for (size_t i = 0; i < count; i++) {
            if (!inside && is_pattern_of(words[i], directory))
                covers = true;
            if (strchr(words[i], '{') != NULL)
                inside = covers;
            if (strchr(words[i], '}') != NULL && covers)
                return true;
        }
    }
    return false;
}
