/* Reads an introspection file with libxml2, to compare it with tables. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct xml_member {
        char kind;                      /* 'm' method, 'p' property, 's' signal */
        char name[64], in[64], out[64]; /* a property's type stands in out */
        bool has_comment;               /* the element before it is a comment */
};

struct xml_interface {
        char name[64];
        size_t n;
        struct xml_member member[96];
};

/* The one interface of a document; false where it is not well-formed or holds none. */
bool xml_interface_read(const char *text, size_t len, struct xml_interface *ret);
