#include "upstream/receptionist_words.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(receptionist_words, .timeout = 30);

/* The words of text, with commas between them. */
static const char *split(const char *text)
{
    static char list[SB_WORDS_MAX * (SB_WORD_SIZE + 1)];
    static struct sb_words words;
    size_t length = 0;
    sb_words_split(text, &words);
    list[0] = '\0';
    for (size_t i = 0; i < words.count; i++)
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", i > 0 ? "," : "",
                                   words.items[i]);
    return list;
}

Test(receptionist_words, fillers_are_no_words)
{
    cr_expect_str_eq(split("Could you please tell me if I need it?"), "");
    cr_expect_str_eq(split("a - 7 !"), "");
}

Test(receptionist_words, forms_of_a_word_are_one_word)
{
    cr_expect_str_eq(split("clean cleaning cleaned cleans"), "clean");
    cr_expect_str_eq(split("party parties"), "party");
    cr_expect_str_eq(split("box boxes"), "box");
    cr_expect_str_eq(split("stop stopped stopping"), "stop");
    cr_expect_str_eq(split("price prices priced pricing"), "pric");
    cr_expect_str_eq(split("treat treatment treatments"), "treat");
}

Test(receptionist_words, short_words_keep_their_ends)
{
    cr_expect_str_eq(split("bring king red bus glass"), "bring,king,red,bus,glass");
}

Test(receptionist_words, synonyms_are_one_word)
{
    cr_expect_str_eq(split("when do you close"), split("what time do you open"));
    cr_expect_str_eq(split("Saturday, sundays, the weekend"), "weekday");
    cr_expect_str_eq(split("how much"), split("the cost"));
    cr_expect_str_eq(split("much"), "");
}

Test(receptionist_words, apostrophes_end_words)
{
    cr_expect_str_eq(split("What's, I'd, we're, dentist's"), "dentist");
    cr_expect_str_eq(split("I can't, won\xe2\x80\x99t, do not"), "not");
    cr_expect_str_eq(split("'quoted'"), "quot");
    cr_expect_str_eq(split("'"), "");
}

Test(receptionist_words, letters_beyond_ascii_are_kept)
{
    cr_expect_str_eq(split("Z\xc3\xa4hne"), "z\xc3\xa4hn");
}

Test(receptionist_words, long_words_and_many_are_cut)
{
    char text[SB_WORDS_MAX * 8 + 100], word[200];
    static struct sb_words words;
    size_t length = 0;
    for (int i = 0; i < SB_WORDS_MAX + 5; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "w%d ", i);
    sb_words_split(text, &words);
    cr_expect_eq(words.count, SB_WORDS_MAX);
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    cr_expect_eq(strlen(split(word)), SB_WORD_SIZE - 1);
}

Test(receptionist_words, common_words_weigh_less_than_those_that_name_a_topic)
{
    cr_expect_eq(sb_word_weight("tomorrow"), SB_WORD_LIGHT);
    cr_expect_eq(sb_word_weight("open"), SB_WORD_COMMON);
    cr_expect_eq(sb_word_weight("insur"), SB_WORD_TELLING);
}
