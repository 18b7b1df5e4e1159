# cmake -DIN=X.xml -DOUT=X.c -DNAME=symbol -P embed.cmake
# Makes a C string of the one <interface> element of an introspection file, without its comments: they are for readers
# of the file and of the man page, not for the wire.
cmake_minimum_required(VERSION 3.22)
file(READ ${IN} text)
while(TRUE)
    string(FIND "${text}" "<!--" start)
    if(start EQUAL -1)
        break()
    endif()
    string(FIND "${text}" "-->" end)
    if(end LESS start)
        message(FATAL_ERROR "${IN}: a comment that does not end")
    endif()
    math(EXPR end "${end} + 3")
    string(SUBSTRING "${text}" 0 ${start} before)
    string(SUBSTRING "${text}" ${end} -1 after)
    set(text "${before}${after}")
endwhile()
string(FIND "${text}" "<interface " start)
string(FIND "${text}" "</interface>" end)
if(start EQUAL -1 OR end LESS start)
    message(FATAL_ERROR "${IN}: no interface element")
endif()
math(EXPR length "${end} + 12 - ${start}")
string(SUBSTRING "${text}" ${start} ${length} text)
string(REGEX REPLACE "\n[ \n]*\n" "\n" text "${text}")
if(text MATCHES ";|\\[|\\]|\\\\")
    message(FATAL_ERROR "${IN}: a character this script cannot carry")
endif()
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n        \"" text "${text}")
file(WRITE ${OUT} "/* Made from ${NAME} by embed.cmake. */
#include \"bus/introspection.h\"

const char ${NAME}[] =
        \"  ${text}\\n\";
")
