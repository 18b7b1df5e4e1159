/*
 * Variables of Intune profiles: {{DeviceName}} and its kin, written in any letter case. Their values come
 * from the caller through a table of functions; a missing value fails the whole, with the variable's name,
 * because half a subject is worse than none. What a value holds never becomes syntax: it is put in after the
 * text was tokenised.
 */
#pragma once

#include <stdint.h>

#include "policy/fact.h"
#include "policy/name.h"

struct profile;

/* A variable by the name Intune's documents have for it. Several may stand for one fact. */
struct variable {
        const char *name;
        enum fact fact;
};

/* The rows of the table; NULL behind the last. At most 32. */
const struct variable *variable_at(size_t i);
/* Which of them stand in the subject and the alternative names: bit i for variable_at(i). */
uint32_t variables_used(const struct profile *p);
/* The facts they stand for: bit (1 << fact). */
uint32_t variables_needed(const struct profile *p);

enum variables_place { VARIABLES_IN_SUBJECT, VARIABLES_IN_ALTERNATIVE_NAME, VARIABLES_IN_URI };

/* The text without values: known variables, no stray braces; in alternative names none of { } | ; in static
 * text; the security identifier in a URI alone. */
MUST_CHECK enum err variables_check(const char *text, enum variables_place place, struct error *e);
/* true: nothing but one variable. */
bool variables_alone(const char *text);
/* *ret: free(). ERR_VARIABLE names the variable without a value. */
MUST_CHECK enum err variables_expand(const char *text, enum variables_place place, const struct facts *facts,
                                     char **ret, struct error *e);
/* ERR_PROFILE where another variable than {{OnPrem_Distinguished_Name}} stands for a whole sequence of RDNs.
 */
MUST_CHECK enum err name_check_whole(const struct ava *a, struct error *e);
/* Every value of the name, in place. */
MUST_CHECK enum err name_expand(struct name *n, const struct facts *facts, struct error *e);
