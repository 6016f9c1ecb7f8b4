/* Which lines of a web server's configuration keep connections to FastCGI programs open. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

enum { FILE_MAX = 1024 * 1024, BLOCKS_MAX = 32, INCLUDES_MAX = 16 };

char *doctor_read(struct sb_arena *arena, const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *text = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX)
        text = sb_arena_alloc(arena, (size_t)st.st_size + 1);
    else
        errno = EINVAL;
    if (text != NULL && read(fd, text, (size_t)st.st_size) != st.st_size)
        text = NULL;
    close(fd);
    return text;
}

/* --- What both servers' readers share
 * ------------------------------------------------------------- */

/* A block: whether it sets the directive, and how many programs of ours it still decides about. */
struct block {
    const char *file; /* of the line that switches keeping on; NULL: none does here */
    int line;
    bool decides;
    size_t ours;
};

struct reader {
    struct sb_arena *arena;
    const char *root; /* includes are relative to it */
    const char *run_dir;
    doctor_line_fn *found;
    void *context;
    void (*read)(struct reader *reader, const char *file, const char *text);
    struct block blocks[BLOCKS_MAX];
    size_t depth;
    int includes;
};

static void include(struct reader *reader, const char *pattern)
{
    const char *path =
        *pattern == '/' ? pattern : sb_arena_printf(reader->arena, "%s/%s", reader->root, pattern);
    glob_t files;
    if (path == NULL || reader->includes == INCLUDES_MAX || glob(path, 0, NULL, &files) != 0)
        return;
    reader->includes++;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *name = sb_arena_strdup(reader->arena, files.gl_pathv[i]);
        char *text = name == NULL ? NULL : doctor_read(reader->arena, name);
        if (text != NULL)
            reader->read(reader, name, text);
    }
    reader->includes--;
    globfree(&files);
}

static bool start(struct reader *reader, const char *file)
{
    char *text = doctor_read(reader->arena, file);
    char *copy = sb_arena_strdup(reader->arena, file);
    if (text == NULL || copy == NULL)
        return false;
    reader->root = dirname(copy);
    reader->read(reader, file, text);
    return true;
}

/* --- nginx
 * ------------------------------------------------------------------------------------------ */

/* Moves *text over blanks and comments. */
static void skip_blanks(const char **text, int *line)
{
    for (;; (*text)++) {
        if (**text == '#')
            *text += strcspn(*text, "\n");
        if (**text == '\0' || strchr(" \t\r\n", **text) == NULL)
            return;
        *line += **text == '\n';
    }
}

/* The next word of *text, behind which it moves, without its quotes, in arena. NULL: *text is at
 * the end of a directive (';', '{', '}') or of the text, or out of memory. */
static char *next_word(struct sb_arena *arena, const char **text, int *line)
{
    skip_blanks(text, line);
    char quote = **text;
    if (quote == '\0' || strchr(";{}", quote) != NULL)
        return NULL;
    bool quoted = quote == '"' || quote == '\'';
    const char *word = *text + quoted;
    size_t length = strcspn(word, quoted ? (char[]){quote, '\0'} : " \t\r\n;{}");
    *text = word + length + (quoted && word[length] != '\0');
    return sb_arena_strndup(arena, word, length);
}

/* A block ends: what it sets holds for the programs in it; else those are its parent's to decide.
 */
static void close_block(struct reader *reader)
{
    if (reader->depth == 0)
        return;
    struct block *block = &reader->blocks[reader->depth--];
    if (!block->decides)
        reader->blocks[reader->depth].ours += block->ours;
    else if (block->file != NULL && block->ours > 0)
        reader->found(reader->context, block->file, block->line);
    *block = (struct block){0};
}

static void take_directive(struct reader *reader, const char *file, int line, char **words)
{
    struct block *block = &reader->blocks[reader->depth];
    if (strcmp(words[0], "include") == 0) {
        include(reader, words[1]);
    } else if (strcmp(words[0], "fastcgi_pass") == 0) {
        block->ours += strstr(words[1], reader->run_dir) != NULL;
    } else if (strcmp(words[0], "fastcgi_keep_conn") == 0) {
        bool on = strcmp(words[1], "on") == 0;
        *block = (struct block){on ? file : NULL, line, true, block->ours};
    }
}

static void read_nginx(struct reader *reader, const char *file, const char *text)
{
    char *words[2], *word; /* more than two are of no directive that matters */
    for (int line = 1; reader->depth < BLOCKS_MAX; text++) {
        size_t count = 0;
        skip_blanks(&text, &line);
        int first = line;
        while ((word = next_word(reader->arena, &text, &line)) != NULL) {
            if (count < SB_COUNT(words))
                words[count++] = word;
        }
        if (*text == '\0')
            return;
        if (*text == ';' && count == SB_COUNT(words))
            take_directive(reader, file, first, words);
        else if (*text == '{')
            reader->depth++;
        else if (*text == '}')
            close_block(reader);
    }
}

bool doctor_kept_in_nginx(struct sb_arena *arena, const char *file, const char *run_dir,
                          doctor_line_fn *found, void *context)
{
    struct reader reader = {
        .arena = arena, .run_dir = run_dir, .found = found, .context = context, .read = read_nginx};
    if (!start(&reader, file))
        return false;
    struct block *top = &reader.blocks[0];
    if (top->file != NULL && top->ours > 0)
        found(context, top->file, top->line);
    return true;
}

/* --- Apache
 * ----------------------------------------------------------------------------------------- */

static void take_line(struct reader *reader, const char *file, int line, char *text)
{
    char *name = text + strspn(text, " \t"), *argument = name + strcspn(name, " \t");
    if (*name == '#' || *argument == '\0')
        return;
    *argument++ = '\0';
    argument += strspn(argument, " \t\"");
    if (strcasecmp(name, "Include") == 0 || strcasecmp(name, "IncludeOptional") == 0) {
        argument[strcspn(argument, " \t\r\"")] = '\0';
        include(reader, argument);
    } else if (strncasecmp(name, "ProxyPass", strlen("ProxyPass")) == 0 &&
               strstr(argument, reader->run_dir) != NULL &&
               strcasestr(argument, "enablereuse=on") != NULL) {
        reader->found(reader->context, file, line);
    }
}

static void read_apache(struct reader *reader, const char *file, const char *text)
{
    for (int line = 1; *text != '\0'; line++) {
        size_t length = strcspn(text, "\n");
        char *copy = sb_arena_strndup(reader->arena, text, length);
        if (copy != NULL)
            take_line(reader, file, line, copy);
        text += length + (text[length] == '\n');
    }
}

bool doctor_kept_in_apache(struct sb_arena *arena, const char *file, const char *run_dir,
                           doctor_line_fn *found, void *context)
{
    struct reader reader = {.arena = arena,
                            .run_dir = run_dir,
                            .found = found,
                            .context = context,
                            .read = read_apache};
    return start(&reader, file);
}
