#include "base/clause.h"

#include <criterion/criterion.h>
#include <string.h>

struct seen {
    struct sb_buf text;
    int left;
};

static bool clause(void *context, const char *text, size_t length)
{
    struct seen *seen = context;
    cr_expect_gt(length, 0);
    cr_expect_leq(length, SB_CLAUSE_MAX);
    sb_buf_add(&seen->text, text, length);
    sb_buf_add_char(&seen->text, '|');
    return --seen->left != 0;
}

static bool cut_in_steps(const char *text, size_t step, struct seen *seen, bool end)
{
    struct sb_clause_cutter cutter;
    bool good = true;
    sb_buf_init(&seen->text, NULL, 100000);
    sb_buf_add_text(&seen->text, "");
    sb_clause_init(&cutter, clause, seen);
    for (size_t at = 0, length = strlen(text); good && at < length; at += step)
        good = sb_clause_feed(&cutter, text + at, length - at < step ? length - at : step);
    return good && (!end || sb_clause_end(&cutter));
}

static void expect(const char *text, const char *clauses)
{
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        struct seen seen = {.left = -1};
        cr_expect(cut_in_steps(text, step, &seen, true));
        cr_expect_str_eq(seen.text.data, clauses, "step %zu: %s", step, seen.text.data);
        sb_buf_free(&seen.text);
    }
}

Test(clause, the_first_ends_at_a_comma_the_later_ones_with_their_sentence)
{
    expect(
        "Of course I can, we open at nine, every day. On Sundays, however, we are closed. Bye!",
        "Of course I can,|we open at nine, every day.|On Sundays, however, we are closed.|Bye!|");
}

Test(clause, a_short_first_sentence_is_spoken_at_once)
{
    expect("Yes. We are open until six today.", "Yes.|We are open until six today.|");
}

Test(clause, a_comma_too_early_does_not_end_the_first)
{
    expect("Well, that depends, of course.", "Well, that depends,|of course.|");
}

Test(clause, short_later_sentences_are_joined)
{
    expect("Hello! Yes. No. Perhaps it will be so.", "Hello!|Yes. No. Perhaps it will be so.|");
}

Test(clause, points_within_numbers_abbreviations_and_names_end_nothing)
{
    expect("It costs 3.50 euros at Dr. Smith, e.g. for J. Doe of example.com. Next.",
           "It costs 3.50 euros at Dr. Smith,|e.g. for J. Doe of example.com.|Next.|");
}

Test(clause, quotes_and_brackets_belong_to_the_sentence)
{
    expect("She said \"come in!\" (It was late.) Then she left us all.",
           "She said \"come in!\"|(It was late.) Then she left us all.|");
}

Test(clause, lines_end_a_clause_and_list_numbers_do_not)
{
    expect("1. Call us today\n2. Come by tomorrow morning at nine\nThat is all.",
           "1. Call us today|2. Come by tomorrow morning at nine|That is all.|");
}

Test(clause, any_blanks_between_clauses_are_left_out)
{
    expect("  Yes.  We are open until six today.\n\n \tBye now, all of you.  ",
           "Yes.|We are open until six today.|Bye now, all of you.|");
}

Test(clause, a_number_within_a_line_may_end_its_sentence)
{
    expect("We are at number 12. Come in through the yard.",
           "We are at number 12.|Come in through the yard.|");
    expect("Good morning.\nSo:\n1. Call us tomorrow at nine.",
           "Good morning.|So:\n1. Call us tomorrow at nine.|");
}

Test(clause, an_ellipsis_and_wide_stops_end_a_sentence)
{
    expect("Wait\xe2\x80\xa6 it is here.", "Wait\xe2\x80\xa6|it is here.|");
    expect("\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82\xe5\x86\x8d\xe8\xa7\x81",
           "\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82|\xe5\x86\x8d\xe8\xa7\x81|");
}

Test(clause, typographic_quotes_belong_to_the_sentence)
{
    expect("He said “Go away now.” Then he left.", "He said “Go away now.”|Then he left.|");
    expect("„Wir haben offen.“ Das sagte sie.", "„Wir haben offen.“|Das sagte sie.|");
    expect("«Abrimos hoy.» Luego cerramos.", "«Abrimos hoy.»|Luego cerramos.|");
}

Test(clause, full_width_quotes_and_further_marks_stay_with_their_stop)
{
    expect("「你好。」他说。", "「你好。」|他说。|");
    expect("什么？！好的", "什么？！|好的|");
    expect("你好。”再见", "你好。”|再见|");
    expect("你好。 再见", "你好。|再见|");
}

Test(clause, a_full_width_comma_ends_the_first_and_a_long_one)
{
    expect("我们每天九点开门，下午六点关门，周末休息。",
           "我们每天九点开门，|下午六点关门，周末休息。|");
    expect("好，我们开门。", "好，我们开门。|");
    struct seen seen = {.left = -1};
    struct sb_buf text;
    sb_buf_init(&text, NULL, 10000);
    sb_buf_add_text(&text, "好。");
    for (int i = 0; i < 40; i++)
        sb_buf_add_text(&text, "我们开门，");
    cr_expect(cut_in_steps(text.data, 1, &seen, true));
    const char *second = strchr(seen.text.data, '|') + 1;
    cr_expect_eq(strcspn(second, "|"), 165, "the first comma from SB_CLAUSE_SOFT_MAX on");
    sb_buf_free(&text);
    sb_buf_free(&seen.text);
}

Test(clause, the_marks_of_other_scripts_end_a_sentence)
{
    expect("हम नौ बजे खुलते हैं। आप आइए।", "हम नौ बजे खुलते हैं।|आप आइए।|");
    expect("هل أنت هناك؟ نعم.", "هل أنت هناك؟|نعم.|");
}

Test(clause, what_has_nothing_to_be_spoken_is_left_out_unless_it_is_all)
{
    expect("We can help! 😊", "We can help!|");
    expect("We can help! 👍🏽 ❤️\n… \"—\" (!)\nYou are welcome here.",
           "We can help!|You are welcome here.|");
    expect("好的。！」", "好的。！」|");
    expect("😊", "😊|");
    expect("We are open! 9", "We are open!|9|");
    expect("Wie teuer? 5 €", "Wie teuer?|5 €|");
    expect("It costs you this. €", "It costs you this.|€|");
}

Test(clause, blanks_alone_are_nothing)
{
    expect(" \n\t ", "");
    expect("", "");
}

Test(clause, a_clause_is_given_before_the_text_ends)
{
    struct seen seen = {.left = -1};
    cr_expect(cut_in_steps("We open at nine. ", 1, &seen, false));
    cr_expect_str_eq(seen.text.data, "We open at nine.|");
    sb_buf_free(&seen.text);
}

Test(clause, a_point_that_may_go_on_is_waited_for)
{
    struct seen seen = {.left = -1};
    cr_expect(cut_in_steps("It costs 3.", 1, &seen, false));
    cr_expect_str_eq(seen.text.data, "");
    sb_buf_free(&seen.text);
}

/* count times word, cut; expects clauses no longer than the cap that lose nothing but blanks. */
static void expect_whole(const char *word, size_t count)
{
    struct seen seen = {.left = -1};
    struct sb_buf text, joined;
    sb_buf_init(&text, NULL, 100000);
    sb_buf_init(&joined, NULL, 100000);
    for (size_t i = 0; i < count; i++)
        sb_buf_add_text(&text, word);
    cr_expect(cut_in_steps(text.data, 7, &seen, true));
    for (const char *c = seen.text.data; *c != '\0';) {
        size_t length = strcspn(c, "|");
        for (size_t at = 0; at < length;) {
            size_t size = sb_utf8_sequence(c + at, length - at);
            cr_assert_gt(size, 0, "a character was cut");
            at += size;
        }
        sb_buf_add(&joined, c, length);
        if (word[strlen(word) - 1] == ' ')
            sb_buf_add_char(&joined, ' ');
        c += length + 1;
    }
    cr_expect_str_eq(joined.data, text.data);
    sb_buf_free(&text);
    sb_buf_free(&joined);
    sb_buf_free(&seen.text);
}

Test(clause, endless_text_is_cut_between_words_and_never_within_a_character)
{
    expect_whole("word ", 500);
    expect_whole("x", 1000);
    expect_whole("\xe2\x82\xac", 500);
    expect_whole("\U00020000", 500);
}

Test(clause, a_long_sentence_is_cut_at_a_comma)
{
    struct seen seen = {.left = -1};
    struct sb_buf text;
    sb_buf_init(&text, NULL, 10000);
    sb_buf_add_text(&text, "Yes. ");
    for (int i = 0; i < 40; i++)
        sb_buf_add_text(&text, "one more thing, ");
    cr_expect(cut_in_steps(text.data, 5, &seen, true));
    const char *second = strchr(seen.text.data, '|') + 1;
    size_t length = strcspn(second, "|");
    cr_expect_geq(length, SB_CLAUSE_SOFT_MAX);
    cr_expect_lt(length, SB_CLAUSE_SOFT_MAX + 20);
    cr_expect_eq(second[length - 1], ',');
    sb_buf_free(&text);
    sb_buf_free(&seen.text);
}

Test(clause, the_clause_function_ends_the_cutting)
{
    struct seen seen = {.left = 1};
    cr_expect_not(cut_in_steps("Yes. No, never ever in my life. ", 1, &seen, true));
    cr_expect_str_eq(seen.text.data, "Yes.|");
    sb_buf_free(&seen.text);
}
