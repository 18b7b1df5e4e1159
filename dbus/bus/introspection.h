/* The <interface> elements of dbus/org.scepter1.*.xml without comments, made at build time. */
#pragma once

extern const char bus_introspection_manager[];
extern const char bus_introspection_profile[];
extern const char bus_introspection_certificate[];
