#include "upstream/receptionist_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json_load.h"
#include "upstream/receptionist.h"

const char *const sb_weekdays[8] = {"monday", "tuesday",  "wednesday", "thursday",
                                    "friday", "saturday", "sunday",    NULL};

/* --- Lines --------------------------------------------------------------------------------------
 */

/* Where a value of the path begins. Jansson keeps no lines; the text is known to be valid JSON. */
static const char *skip_blank(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++)
        at += *at == '\\';
    return at + 1;
}

static const char *skip_value(const char *at)
{
    int depth = 0;
    do {
        at = skip_blank(at);
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else {
            at += strcspn(at, " \t\r\n,:{}[]\"");
        }
    } while (depth > 0);
    return at;
}

/* The value of key (NULL: the index-th element) of the value at at, or NULL. */
static const char *descend(const char *at, const char *key, size_t index)
{
    at = skip_blank(at);
    if (*at != (key == NULL ? '[' : '{'))
        return NULL;
    at = skip_blank(at + 1);
    for (size_t i = 0; *at != ']' && *at != '}'; i++) {
        bool found = i == index;
        if (key != NULL) {
            size_t length = strlen(key);
            found = strncmp(at + 1, key, length) == 0 && at[length + 1] == '"';
            at = skip_blank(skip_blank(skip_string(at)) + 1);
        }
        if (found)
            return at;
        at = skip_blank(skip_value(at));
        at = skip_blank(at + (*at == ','));
    }
    return NULL;
}

/* The line of path ("intents[3].phrases"), or of the deepest part of it that is there. */
static int line_of(const char *text, const char *path)
{
    const char *at = skip_blank(text);
    while (*path != '\0') {
        char key[32] = "";
        size_t length = strcspn(path, ".[");
        if (length > 0)
            snprintf(key, sizeof key, "%.*s", (int)length, path);
        else
            length = strcspn(path, "]") + 1;
        const char *next = descend(at, key[0] == '\0' ? NULL : key,
                                   key[0] == '\0' ? strtoul(path + 1, NULL, 10) : 0);
        if (next == NULL)
            break;
        at = next;
        path += length;
        path += *path == '.';
    }
    int line = 1;
    for (const char *c = text; c < at; c++)
        line += *c == '\n';
    return line;
}

/* --- Form ---------------------------------------------------------------------------------------
 */

struct check {
    const char *text;
    char *problem;
    size_t size;
};

static bool wrong(const struct check *check, const char *path, const char *what)
{
    snprintf(check->problem, check->size, "line %d: %s %s", line_of(check->text, path), path, what);
    return false;
}

static bool check_text(const struct check *check, const json_t *value, const char *path)
{
    const char *text = json_string_value(value);
    if (text == NULL || *text == '\0')
        return wrong(check, path, "must be a text");
    if (strlen(text) > SB_RECEPTIONIST_TEXT_MAX)
        return wrong(check, path, "is longer than 1000 bytes");
    return true;
}

static bool check_texts(const struct check *check, const json_t *array, const char *path,
                        size_t max)
{
    char element[64];
    size_t count = json_array_size(array);
    if (!json_is_array(array) || count == 0)
        return wrong(check, path, "must be a list of texts");
    if (count > max)
        return wrong(check, path, "has too many elements");
    for (size_t i = 0; i < count; i++) {
        snprintf(element, sizeof element, "%.40s[%zu]", path, i);
        if (!check_text(check, json_array_get(array, i), element))
            return false;
    }
    return true;
}

/* The placeholders an answer may have. */
static bool check_placeholders(const struct check *check, const char *text, const char *path)
{
    static const char *const known[] = {"{hours}", "{contact}", "{name}", "{greeting}"};
    for (const char *at = strchr(text, '{'); at != NULL; at = strchr(at + 1, '{')) {
        bool found = false;
        for (size_t i = 0; i < SB_COUNT(known); i++)
            found = found || strncmp(at, known[i], strlen(known[i])) == 0;
        if (!found)
            return wrong(check, path,
                         "has a placeholder that is none of {hours}, {contact}, {name}, "
                         "{greeting}");
    }
    return true;
}

static bool check_members(const struct check *check, json_t *object, const char *path,
                          const char *const *known)
{
    const char *key;
    const json_t *value;
    char member[96];
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0)
            i++;
        snprintf(member, sizeof member, "%s%s%.40s", path, *path == '\0' ? "" : ".", key);
        if (known[i] == NULL)
            return wrong(check, member, "is not known here");
    }
    return true;
}

static bool check_intent(const struct check *check, json_t *intent, const char *path, bool named)
{
    static const char *const with_name[] = {"name", "phrases", "answer", NULL};
    char member[96];
    if (!json_is_object(intent))
        return wrong(check, path, "must be an object");
    if (!check_members(check, intent, path, named ? with_name : with_name + 1))
        return false;
    snprintf(member, sizeof member, "%s.name", path);
    if (named && !check_text(check, json_object_get(intent, "name"), member))
        return false;
    snprintf(member, sizeof member, "%s.phrases", path);
    if (!check_texts(check, json_object_get(intent, "phrases"), member,
                     SB_RECEPTIONIST_PHRASES_MAX))
        return false;
    snprintf(member, sizeof member, "%s.answer", path);
    const json_t *answer = json_object_get(intent, "answer");
    return check_text(check, answer, member) &&
           check_placeholders(check, json_string_value(answer), member);
}

static bool check_intents(const struct check *check, const json_t *intents)
{
    char path[32];
    size_t count = json_array_size(intents);
    if (!json_is_array(intents) || count == 0 || count > SB_RECEPTIONIST_INTENTS_MAX)
        return wrong(check, "intents", "must be a list of 1 to 200 intents");
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "intents[%zu]", i);
        if (!check_intent(check, json_array_get(intents, i), path, true))
            return false;
    }
    return true;
}

static bool time_of_day(const char *text)
{
    return isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[1]) && text[2] == ':' &&
           isdigit((unsigned char)text[3]) && isdigit((unsigned char)text[4]) && text[3] < '6' &&
           strncmp(text, "24:00", 5) <= 0;
}

static bool check_hours(const struct check *check, json_t *hours)
{
    char path[32];
    if (!json_is_object(hours) || !check_members(check, hours, "hours", sb_weekdays))
        return json_is_object(hours) ? false : wrong(check, "hours", "must be an object");
    for (size_t i = 0; sb_weekdays[i] != NULL; i++) {
        const char *text = json_string_value(json_object_get(hours, sb_weekdays[i]));
        snprintf(path, sizeof path, "hours.%s", sb_weekdays[i]);
        if (text != NULL && strcmp(text, "closed") == 0)
            continue;
        if (text == NULL || strlen(text) != 11 || !time_of_day(text) || text[5] != '-' ||
            !time_of_day(text + 6))
            return wrong(check, path, "must be \"HH:MM-HH:MM\" or \"closed\"");
    }
    return true;
}

static bool check_file(const struct check *check, json_t *file)
{
    static const char *const texts[] = {"name",    "language", "greeting",
                                        "persona", "contact",  "not_understood"};
    static const char *const members[] = {"name",    "language",       "greeting", "persona",
                                          "contact", "not_understood", "hours",    "facts",
                                          "intents", "handover",       NULL};
    if (!json_is_object(file))
        return wrong(check, "", "the file must be an object");
    if (!check_members(check, file, "", members))
        return false;
    for (size_t i = 0; i < SB_COUNT(texts); i++) {
        if (!check_text(check, json_object_get(file, texts[i]), texts[i]))
            return false;
    }
    return check_hours(check, json_object_get(file, "hours")) &&
           check_texts(check, json_object_get(file, "facts"), "facts",
                       SB_RECEPTIONIST_INTENTS_MAX) &&
           check_intents(check, json_object_get(file, "intents")) &&
           check_intent(check, json_object_get(file, "handover"), "handover", false);
}

/* The whole of the file, on the heap; NULL: problem says why. */
static char *read_text(const char *path, char *problem, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd < 0 ? NULL : malloc(SB_RECEPTIONIST_FILE_MAX + 1);
    ssize_t got = -1, length = 0;
    while (text != NULL && length <= SB_RECEPTIONIST_FILE_MAX) {
        got = read(fd, text + length, (size_t)(SB_RECEPTIONIST_FILE_MAX + 1 - length));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += got;
    }
    bool good = text != NULL && got == 0 && length <= SB_RECEPTIONIST_FILE_MAX;
    if (!good) {
        snprintf(problem, size, "%s",
                 length > SB_RECEPTIONIST_FILE_MAX ? "is longer than 256 KiB" : strerror(errno));
        free(text);
        text = NULL;
    } else {
        text[length] = '\0';
    }
    if (fd >= 0)
        close(fd);
    return text;
}

json_t *sb_receptionist_file_read(const char *path, char *problem, size_t size)
{
    json_error_t error;
    char *text = read_text(path, problem, size);
    if (text == NULL)
        return NULL;
    bool no_memory;
    json_t *file = sb_json_load(text, strlen(text), &error, &no_memory);
    if (no_memory) {
        snprintf(problem, size, "out of memory");
    } else if (file == NULL) {
        snprintf(problem, size, "line %d: %s", error.line, error.text);
    } else {
        const struct check check = {text, problem, size};
        if (!check_file(&check, file)) {
            json_decref(file);
            file = NULL;
        }
    }
    free(text);
    return file;
}
