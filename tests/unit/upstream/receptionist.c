#include "upstream/receptionist.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "upstream/receptionist_file.h"

static char problem[256];
static struct sb_arena *arena;
static struct sb_receptionist *example;

static void set_up(void)
{
    arena = sb_arena_new(1 << 20);
    example = sb_receptionist_load("etc/receptionist.json", problem, sizeof problem);
    cr_assert_not_null(example, "%s", problem);
}

static void tear_down(void)
{
    sb_receptionist_free(example);
    sb_arena_free(arena);
}

TestSuite(receptionist, .init = set_up, .fini = tear_down, .timeout = 30);

static struct sb_receptionist_answer ask(const char *question)
{
    struct sb_receptionist_answer answer;
    cr_assert(sb_receptionist_answer(example, arena, question, &answer));
    return answer;
}

/* The stated score, of the questions of that file whose intent is known, and of those off topic. */
enum {
    PARAPHRASES = 311,
    RIGHT_MIN = 276, /* 89 % */
    WRONG_MAX = 9,   /* answered by another intent */
    OFF_TOPIC = 284,
    FALSE_MAX = 11 /* off topic, but answered */
};

struct tally {
    int asked, right, wrong;
};

static void ask_line(char *line, struct tally *on, struct tally *off)
{
    line[strcspn(line, "\n")] = '\0';
    char *question = strchr(line, '\t');
    if (line[0] == '#')
        return;
    cr_assert_not_null(question, "%s", line);
    *question++ = '\0';
    struct sb_receptionist_answer answer = ask(question);
    const char *got = answer.intent == NULL ? "-" : answer.intent;
    struct tally *tally = strcmp(line, "-") == 0 ? off : on;
    bool right = strcmp(got, line) == 0;
    tally->asked++;
    tally->right += right;
    tally->wrong += !right && answer.intent != NULL;
    if (!right)
        printf("%s, not %s: %s (%d)\n", got, line, question, answer.score);
}

Test(receptionist, answers_paraphrases_and_not_what_is_off_topic)
{
    char line[256];
    struct tally on = {0}, off = {0};
    FILE *file = fopen("tests/unit/upstream/receptionist.questions", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        sb_arena_reset(arena);
        ask_line(line, &on, &off);
    }
    fclose(file);
    cr_expect_eq(on.asked, PARAPHRASES, "%d", on.asked);
    cr_expect_eq(off.asked, OFF_TOPIC, "%d", off.asked);
    cr_expect_geq(on.right, RIGHT_MIN, "%d", on.right);
    cr_expect_leq(on.wrong, WRONG_MAX, "%d", on.wrong);
    cr_expect_leq(off.wrong, FALSE_MAX, "%d", off.wrong);
}

Test(receptionist, a_text_without_a_telling_word_is_not_understood)
{
    cr_expect_null(ask("").intent);
    cr_expect_null(ask("uh").intent);
    cr_expect_null(ask("?!").intent);
}

Test(receptionist, phones_write_apostrophes_of_their_own)
{
    cr_expect_str_eq(ask("where\xe2\x80\x99s your address").intent, "address");
    cr_expect_eq(ask("what\xe2\x80\x99s the price").score, ask("what's the price").score);
}

Test(receptionist, what_is_refused_is_not_what_is_asked_for)
{
    cr_expect_str_eq(ask("I can't make my appointment").intent, "cancel");
    cr_expect_str_eq(ask("can I make an appointment").intent, "appointment");
}

Test(receptionist, its_own_name_is_no_other_topic)
{
    cr_expect_str_eq(ask("what are the opening hours of Harbour Dental").intent, "hours");
    cr_expect_null(ask("what are the opening hours of Garden Furniture").intent);
}

Test(receptionist, what_only_the_answer_speaks_of_is_understood)
{
    cr_expect_str_eq(ask("do you do crowns").intent, "services");
}

Test(receptionist, every_phrase_of_the_file_is_answered_by_its_intent)
{
    cr_expect_str_eq(ask("what are your opening hours").intent, "hours");
    cr_expect_eq(ask("what are your opening hours").score, 100);
    cr_expect_str_eq(ask("let me speak to the manager").intent, "handover");
    cr_expect_str_eq(ask("hi there").intent, "greeting");
}

Test(receptionist, placeholders_are_filled_in)
{
    cr_expect_str_eq(ask("when do you open").text,
                     "Our opening hours are: Monday to Wednesday 08:00 to 18:00, Thursday 08:00 to "
                     "20:00, Friday 08:00 to 14:00, Saturday and Sunday closed.");
    cr_expect_str_eq(ask("can I talk to a person").text,
                     "Of course. You reach our staff at 555 0142.");
    cr_expect_str_eq(ask("hello").text, "Hello, this is Harbour Dental. How can I help you?");
}

static char *slurp(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    return text;
}

/* Loads the example with from replaced by to (the first time it occurs). */
static struct sb_receptionist *load_with(const char *from, const char *to)
{
    char path[] = "/tmp/sb-receptionist-XXXXXX";
    int fd = mkstemp(path);
    char *text = slurp("etc/receptionist.json"), *at = strstr(text, from);
    cr_assert_not_null(at, "%s", from);
    dprintf(fd, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    close(fd);
    struct sb_receptionist *loaded = sb_receptionist_load(path, problem, sizeof problem);
    unlink(path);
    return loaded;
}

Test(receptionist, days_of_the_same_hours_are_told_together_wherever_in_the_week)
{
    struct sb_receptionist *loaded =
        load_with("\"monday\": \"08:00-18:00\"", "\"monday\": \"closed\"");
    const char *prompt = sb_receptionist_prompt(loaded, arena);
    cr_expect_not_null(
        strstr(prompt, "Monday closed, Tuesday and Wednesday 08:00 to 18:00, Thursday"), "%s",
        prompt);
    sb_receptionist_free(loaded);
}

Test(receptionist, what_is_not_understood_says_so)
{
    struct sb_receptionist_answer answer = ask("what is the capital of France");
    cr_expect_null(answer.intent);
    cr_expect_not_null(strstr(answer.text, "did not understand"));
}

Test(receptionist, the_prompt_holds_persona_language_hours_facts_and_answers)
{
    const char *prompt = sb_receptionist_prompt(example, arena);
    cr_assert_not_null(prompt);
    static const char *const parts[] = {"receptionist of Harbour Dental",
                                        "Friday 08:00 to 14:00",
                                        "- There is free parking",
                                        "60 dollars",
                                        "555 0142",
                                        "Yes, there is free parking",
                                        "Speak the language \"en\""};
    for (size_t i = 0; i < SB_COUNT(parts); i++)
        cr_expect_not_null(strstr(prompt, parts[i]), "%s", parts[i]);
    cr_expect_null(strchr(prompt, '{'));
}

/* --- A file that is wrong -----------------------------------------------------------------------
 */

Test(receptionist, a_wrong_file_is_refused_with_the_line)
{
    static const struct {
        const char *from, *to, *says;
    } wrong[] = {
        {"\"greeting\": \"Hello", "\"greeting\" \"Hello", "line 4: "},
        {"\"language\": \"en\"", "\"language\": 7", "line 3: language must be a text"},
        {"\"08:00-14:00\"", "\"8-14\"", "line 12: hours.friday must be"},
        {"\"08:00-14:00\"", "\"08:00-25:00\"", "line 12: hours.friday must be"},
        {"\"08:00-14:00\"", "\"08:00-24:01\"", "line 12: hours.friday must be"},
        {"\"sunday\": \"closed\"", "\"feiertag\": \"closed\"",
         "line 14: hours.feiertag is not known"},
        {"\"persona\"", "\"person\"", "line 5: person is not known here"},
        {"\"name\": \"parking\"", "\"name\": \"\"", "intents[2].name must be a text"},
        {"\"is there parking\",", "7,", "intents[2].phrases[0] must be a text"},
        {"{hours}", "{houres}", "intents[0].answer has a placeholder"},
        {"\"answer\": \"Yes, there", "\"anser\": \"Yes, there", "intents[2].anser is not known"},
    };
    for (size_t i = 0; i < SB_COUNT(wrong); i++) {
        struct sb_receptionist *loaded = load_with(wrong[i].from, wrong[i].to);
        cr_expect_null(loaded, "%s", wrong[i].to);
        cr_expect_not_null(strstr(problem, wrong[i].says), "%s: %s", wrong[i].to, problem);
        sb_receptionist_free(loaded);
    }
}

Test(receptionist, the_line_of_an_element_deep_in_the_file_is_right)
{
    sb_receptionist_free(load_with("\"is there parking\",", "7,"));
    int line = 1;
    const char *text = slurp("etc/receptionist.json");
    for (const char *c = text; c < strstr(text, "is there parking"); c++)
        line += *c == '\n';
    char says[32];
    snprintf(says, sizeof says, "line %d: ", line);
    cr_expect_not_null(strstr(problem, says), "%s, not %s", problem, says);
}

/* Loads a small file whose contact, facts, answer and not_understood are those given. */
static struct sb_receptionist *load_small(const char *contact, const char *facts,
                                          const char *answer, const char *not_understood)
{
    char path[] = "/tmp/sb-receptionist-XXXXXX";
    int fd = mkstemp(path);
    dprintf(fd,
            "{\"name\":\"N\",\"language\":\"en\",\"greeting\":\"Hi\",\"persona\":\"P\","
            "\"contact\":\"%s\",\"not_understood\":\"%s\",\"hours\":{",
            contact, not_understood);
    for (size_t i = 0; sb_weekdays[i] != NULL; i++)
        dprintf(fd, "%s\"%s\":\"closed\"", i > 0 ? "," : "", sb_weekdays[i]);
    dprintf(fd,
            "},\"facts\":[%s\"f\"],\"intents\":[{\"name\":\"tea\",\"phrases\":[\"tea\"],"
            "\"answer\":\"%s\"}],\"handover\":{\"phrases\":[\"person\"],\"answer\":\"Bye\"}}",
            facts, answer);
    close(fd);
    struct sb_receptionist *loaded = sb_receptionist_load(path, problem, sizeof problem);
    unlink(path);
    return loaded;
}

#define FOUR "{contact}{contact}{contact}{contact}"

Test(receptionist, what_grows_too_long_by_its_placeholders_is_refused_when_it_is_loaded)
{
    char contact[1001];
    memset(contact, 'c', 1000);
    contact[1000] = '\0';
    struct sb_receptionist *loaded = load_small(contact, "", FOUR, FOUR);
    cr_expect_not_null(loaded, "%s", problem);
    sb_receptionist_free(loaded);
    cr_expect_null(load_small(contact, "", FOUR "{contact}", "What?"));
    cr_expect_eq(strncmp(problem, "tea: ", 5), 0, "%s", problem);
    cr_expect_null(load_small(contact, "",
                              "Yes\"},{\"name\":\"cup\",\"phrases\":[\"cup\"],"
                              "\"answer\":\"" FOUR "{contact}",
                              "What?"));
    cr_expect_eq(strncmp(problem, "cup: ", 5), 0, "%s", problem);
    cr_expect_null(load_small(contact, "", "Yes", FOUR "{contact}"));
    cr_expect_eq(strncmp(problem, "not_understood: ", 16), 0, "%s", problem);
}

enum { FACT_SIZE = 1003 }; /* of a thousand digits, quoted, and a comma */

Test(receptionist, facts_that_make_too_long_a_prompt_are_refused_when_they_are_loaded)
{
    static char facts[65 * FACT_SIZE + 1];
    for (char *at = facts; at < facts + 65 * FACT_SIZE; at += FACT_SIZE)
        snprintf(at, FACT_SIZE + 1, "\"%0*d\",", FACT_SIZE - 3, 0);
    struct sb_receptionist *loaded = load_small("c", facts + 3 * FACT_SIZE, "Yes", "What?");
    cr_expect_not_null(loaded, "%s", problem);
    sb_receptionist_free(loaded);
    cr_expect_null(load_small("c", facts, "Yes", "What?"));
    cr_expect_not_null(strstr(problem, "64 KiB"), "%s", problem);
}

Test(receptionist, a_file_that_is_not_there_or_too_long_is_refused)
{
    cr_expect_null(sb_receptionist_load("/nonexistent/receptionist.json", problem, sizeof problem));
    cr_expect_not_null(strstr(problem, "No such file"), "%s", problem);
    char path[] = "/tmp/sb-receptionist-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(ftruncate(fd, SB_RECEPTIONIST_FILE_MAX + 1), 0);
    close(fd);
    cr_expect_null(sb_receptionist_load(path, problem, sizeof problem));
    cr_expect_not_null(strstr(problem, "256 KiB"), "%s", problem);
    unlink(path);
}

/* As many intents and phrases as a file may have: a question must not cost their product. */
Test(receptionist, the_largest_file_answers_the_longest_question_at_once)
{
    struct sb_buf intents, question;
    struct sb_arena *work = sb_arena_new(1 << 20);
    sb_buf_init(&intents, NULL, 400000);
    sb_buf_add_text(&intents, "\"intents\": [");
    sb_buf_init(&question, arena, 1000);
    for (int i = 0; i < 150; i++) {
        sb_buf_add_format(&intents, "{\"name\":\"n%d\",\"answer\":\"a%d\",\"phrases\":[", i, i);
        for (int j = 0; j < SB_RECEPTIONIST_PHRASES_MAX; j++)
            sb_buf_add_format(&intents, "%s\"w%d x%d y%d z\"", j > 0 ? "," : "", i, j, i * 50 + j);
        sb_buf_add_text(&intents, "]},");
    }
    for (int i = 0; i < 64; i++)
        sb_buf_add_format(&question, "w%d ", i);
    cr_assert(sb_buf_ok(&intents));
    struct sb_receptionist *large = load_with("\"intents\": [", intents.data);
    cr_assert_not_null(large, "%s", problem);
    struct sb_receptionist_answer answer;
    for (int i = 0; i < 100; i++) {
        sb_arena_reset(work);
        cr_assert(sb_receptionist_answer(large, work, question.data, &answer));
    }
    cr_assert(sb_receptionist_answer(large, work, "w77 x3 y3853", &answer));
    cr_expect_str_eq(answer.intent, "n77");
    sb_receptionist_free(large);
    sb_buf_free(&intents);
    sb_arena_free(work);
}
