#include "upstream/receptionist_words.h"

#include <ctype.h>
#include <string.h>

/* --- Lists of words, each between blanks --------------------------------------------------------
 */

/* Words that say nothing of what a question is about. */
static const char fillers[] =
    " a about actual actually after again ah all also always am an and another any anything "
    "anywhere are around as at be because been before being but by can could currently did do "
    "does each either else er ever every everything exact excuse few for from get give go going "
    "gonna got guy had has have having he hear her here him his hm hmm how i id if im in into is "
    "it its ive just kind know let lets like ll lot lots many may maybe me might mine more most "
    "much must my myself need no of off oh ok okay on one only onto or other our ours out over "
    "perhaps please possible probable quite rather re real right say shall she should so some "
    "something somewhere sorry sort still such sure tell than that thats the their them then "
    "there theres these they thing this those though through till to too uh um up us usual ve "
    "very want was we well were what whats which while who whose why will wish with wonder would "
    "yeah yes yet you your yours yourself ";

/* Words that go with any topic. */
static const char light[] =
    " able afternoon ago allow ask available away awful back bad badly become begin best better "
    "between big both bring building bye call case certain clinic come comfortable company "
    "contact continue correct date day decide describe different double during early eight end "
    "evening explain far feel fine finish firm first five follow forget four fourth free full "
    "good great hand happen happy hello help helpful hold hope horrible immediate keep last late "
    "later learn least leave less lie little live long longer look lose make mean meet member "
    "midday minute moment month morning near nearby new next nice night nine noon normal now "
    "offer office often old own part perfect place point practice problem put question quick "
    "reach ready reason receive remember ring run same second see seem send serious set seven "
    "severe short show side simple sit six soon sound special start stay stop straight suppose "
    "take ten term terrible thank think third three time today together tomorrow tonight try turn "
    "two understand until use useful wait walk way week welcome whole without work worry wrong "
    "year yesterday ";

/* Words that go with many topics. */
static const char common[] =
    " address adult bit book boy break brother build business buy change check child choose clean "
    "count cover cut door enter father find friend girl hit husband kill level line man mother "
    "name not number open order pack pain parent pay person plan play price record repair sell "
    "service sister speak street talk teach throw treat type weekday wife woman ";

/* Words of one meaning, as a caller may say them. */
static const struct {
    const char *meant, *said;
} synonyms[] = {
    {"open", " close shut hour "},
    {"time", " when clock "},
    {"hello", " hi hey "},
    {"bye", " goodbye "},
    {"weekday", " monday tuesday wednesday thursday friday saturday sunday weekend "},
    {"address", " where locate location situate find street direction route map "},
    {"price", " cost expensive charge cheap fee pay money dollar euro pound rate afford "},
    {"person", " human staff somebody someone anybody anyone agent manager employee operator "
               "representative colleague assistant receptionist boss people "},
    {"speak", " talk connect transfer "},
    {"book", " schedule arrange reserve "},
    {"appointment", " visit slot reservation "},
    {"pain", " hurt ache sore painful "},
    {"emergency", " urgent "},
    {"change", " move shift "},
    {"reschedule", " postpone rearrange delay "},
    {"break", " broke broken "},
    {"tooth", " teeth "},
    {"child", " kid children son daughter baby toddler "},
    {"take", " accept "},
    {"check", " checkup "},
    {"not", " cannot cant dont wont couldnt never unable "},
};

/* What two words mean together. */
static const struct {
    const char *first, *second, *meant;
} pairs[] = {{"how", "much", "price"}, {"how", "late", "open"},     {"how", "early", "open"},
             {"get", "to", "address"}, {"get", "there", "address"}, {"call", "off", "cancel"}};

/* --- Words --------------------------------------------------------------------------------------
 */

static bool vowel_in(const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (strchr("aeiouy", word[i]) != NULL)
            return true;
    }
    return false;
}

static bool ends_with(const char *word, size_t length, const char *end)
{
    size_t size = strlen(end);
    return length > size && memcmp(word + length - size, end, size) == 0;
}

/* "stopp" -> "stop", but "call", "miss". */
static size_t undouble(const char *word, size_t length)
{
    bool doubled = length > 3 && word[length - 1] == word[length - 2];
    return doubled && strchr("lsz", word[length - 1]) == NULL ? length - 1 : length;
}

/* Without plural: "parties" -> "party", "boxes" -> "box", "hours" -> "hour". */
static size_t singular(char *word, size_t length)
{
    if (length > 4 && ends_with(word, length, "ies")) {
        word[length - 3] = 'y';
        return length - 2;
    }
    if (ends_with(word, length, "xes") || ends_with(word, length, "shes") ||
        ends_with(word, length, "ches") || ends_with(word, length, "sses"))
        return length - 2;
    if (length > 3 && word[length - 1] == 's' && strchr("sui", word[length - 2]) == NULL)
        return length - 1;
    return length;
}

/* Without the endings of English plurals and verbs; what is left of a word need be no word. */
static void stem(char *word)
{
    static const char *const endings[] = {"ment", "ing", "ed", "ly"};
    size_t length = singular(word, strlen(word));
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t rest = length - strlen(endings[i]);
        if (ends_with(word, length, endings[i]) && rest >= 3 && vowel_in(word, rest)) {
            length = undouble(word, rest);
            break;
        }
    }
    if (length > 3 && word[length - 1] == 'e')
        length--;
    word[length] = '\0';
}

/* The next word of a list, in word; where the rest begins. NULL: there is none. */
static const char *next_of(const char *list, char word[static SB_WORD_SIZE])
{
    list += strspn(list, " ");
    size_t length = strcspn(list, " ");
    if (length == 0)
        return NULL;
    memcpy(word, list, length);
    word[length] = '\0';
    return list + length;
}

/* Whether a list has the word whose stem that is. */
static bool has_stem(const char *list, const char *stemmed)
{
    char word[SB_WORD_SIZE];
    while ((list = next_of(list, word)) != NULL) {
        if (word[0] != stemmed[0] || word[1] != stemmed[1]) /* which no stem changes */
            continue;
        stem(word);
        if (strcmp(word, stemmed) == 0)
            return true;
    }
    return false;
}

double sb_word_weight(const char *word)
{
    return has_stem(light, word)    ? SB_WORD_LIGHT
           : has_stem(common, word) ? SB_WORD_COMMON
                                    : SB_WORD_TELLING;
}

/* --- Texts --------------------------------------------------------------------------------------
 */

static void add_stem(struct sb_words *words, const char *word)
{
    char text[SB_WORD_SIZE];
    memcpy(text, word, strlen(word) + 1);
    stem(text);
    if (has_stem(fillers, text))
        return;
    for (size_t i = 0; i < SB_COUNT(synonyms); i++) {
        if (has_stem(synonyms[i].said, text)) {
            memcpy(text, synonyms[i].meant, strlen(synonyms[i].meant) + 1);
            stem(text);
            break;
        }
    }
    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->items[i], text) == 0)
            return;
    }
    if (words->count < SB_WORDS_MAX)
        memcpy(words->items[words->count++], text, SB_WORD_SIZE);
}

static void add_word(struct sb_words *words, const char *before, const char *word)
{
    for (size_t i = 0; i < SB_COUNT(pairs); i++) {
        if (strcmp(pairs[i].first, before) == 0 && strcmp(pairs[i].second, word) == 0)
            add_stem(words, pairs[i].meant);
    }
    if (word[1] != '\0')
        add_stem(words, word);
}

/* The length of an apostrophe, plain or as phones write it; 0: there is none. */
static size_t apostrophe(const char *text)
{
    return *text == '\'' ? 1 : strncmp(text, "\xe2\x80\x99", 3) == 0 ? 3 : 0;
}

static bool in_word(const char *text)
{
    return isalnum((unsigned char)*text) || (unsigned char)*text >= 0x80;
}

/* What stands behind an apostrophe is another word: "what's", "I'd", and the "not" of "can't". */
static const char *next_word(const char *text, char word[static SB_WORD_SIZE])
{
    size_t length = 0;
    for (; apostrophe(text) == 0 && in_word(text); text++) {
        if (length < SB_WORD_SIZE - 1)
            word[length++] = (char)tolower((unsigned char)*text);
    }
    word[length] = '\0';
    size_t skip = apostrophe(text);
    if (skip > 0 && length > 0 && word[length - 1] == 'n' &&
        (text[skip] == 't' || text[skip] == 'T') && !in_word(text + skip + 1)) {
        memcpy(word, "not", 4);
        skip++;
    }
    return text + (skip > 0 ? skip : *text != '\0');
}

void sb_words_split(const char *text, struct sb_words *words)
{
    char before[SB_WORD_SIZE] = "", word[SB_WORD_SIZE];
    words->count = 0;
    while (*text != '\0') {
        text = next_word(text, word);
        if (word[0] == '\0')
            continue;
        add_word(words, before, word);
        memcpy(before, word, sizeof before);
    }
}
