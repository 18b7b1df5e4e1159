# The bundle of an attestation, for the service that writes it and the program that checks it.
scepter_layer(scepter-bundle attest/bundle.c)
target_link_libraries(scepter-bundle PUBLIC scepter-evidence PRIVATE PkgConfig::JANSSON)
scepter_expose(scepter-bundle attest attest)

# Checks such bundles, with neither service nor TPM.
scepter_program(scepter-verify verify/main.c verify/verify.c)
target_include_directories(scepter-verify PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(scepter-verify PRIVATE scepter-bundle PkgConfig::JANSSON)
install(TARGETS scepter-verify DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/scepter)

# The daemon. store, work, keys, facts, syncml, enroll, model, objects, pin, agents, revocation, rollover, diagnose: its folders; daemon: main, configuration, log.
scepter_layer(scepter-store store/store.c store/events.c store/certs.c store/profiles.c store/instances.c store/old.c store/record.c store/json-text.c store/json.c)
target_link_libraries(scepter-store PUBLIC scepter-policy PRIVATE PkgConfig::JANSSON)
scepter_expose(scepter-store store store)

scepter_program(scepterd
    daemon/main.c daemon/load.c daemon/clock.c daemon/config.c daemon/check.c daemon/ini.c daemon/root-file.c daemon/log.c daemon/intact.c daemon/account.c
    work/pool.c work/schedule.c work/watch.c work/workers.c work/process.c work/applier.c
    keys/access.c keys/groups.c keys/owners.c keys/listen.c keys/tls-sign.c keys/unwrap.c keys/requests.c keys/listing.c keys/server.c
    model/model.c pin/pin.c pin/line.c agents/agents.c
    events/line.c events/followers.c events/events.c events/past.c
    facts/sources.c facts/local.c facts/file.c facts/bus.c facts/gather.c
    enroll/lifecycle.c enroll/adopt.c enroll/afterwards.c enroll/tell.c enroll/enrollment.c enroll/resume.c enroll/server.c enroll/urls.c enroll/pending.c enroll/network.c enroll/challenge.c enroll/agent.c enroll/link.c enroll/known-server.c enroll/same-server.c enroll/steps.c enroll/messages.c enroll/methods.c enroll/renew.c enroll/names.c enroll/accept.c enroll/cancel.c enroll/due.c enroll/apply.c enroll/follow.c enroll/install.c enroll/pin.c enroll/next-ca.c enroll/crl-refused.c enroll/anchors.c
    objects/tree.c objects/authority.c objects/polkit.c objects/manager.c objects/events.c objects/profile.c objects/certificate.c objects/intake.c objects/named-files.c objects/client-certificate.c
    rollover/trust.c rollover/look.c
    revocation/crl.c revocation/path.c revocation/fetch.c revocation/ask.c revocation/check.c
    diagnose/codes.c diagnose/findings.c diagnose/network.c diagnose/server.c diagnose/request.c diagnose/local.c diagnose/revocation.c diagnose/consumers.c diagnose/applied.c diagnose/prepare.c diagnose/servers.c diagnose/certificate.c diagnose/run.c
    apply/consumers.c apply/outcome.c apply/files.c
    placed/read.c placed/placed.c
    syncml/instances.c syncml/draft.c syncml/stage.c syncml/get.c syncml/commit.c syncml/execute.c
    objects/profiles.c objects/diagnose.c objects/enroll.c objects/attest.c objects/resolve.c objects/syncml.c objects/remove.c objects/agents.c objects/ask.c objects/change-pin.c objects/tpm-status.c)
target_include_directories(scepterd PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(scepterd PRIVATE scepter-store scepter-bundle scepter-local-key scepter-channel scepter-scep-build scepter-scep-wire
    scepter-worker-protocol scepter-policy scepter-bus-server scepter-bus Threads::Threads PkgConfig::SYSTEMD
    PkgConfig::JANSSON PkgConfig::INIH)
install(TARGETS scepterd DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/scepter)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/journal/scepter.catalog DESTINATION lib/systemd/catalog)

# The applier: root's part. Of the daemon's files it shares those that read what root wrote.
scepter_program(scepter-apply
    apply/main.c apply/apply.c apply/consumers.c apply/outcome.c apply/state.c apply/files.c apply/trust.c apply/units.c apply/network.c
    daemon/config.c daemon/ini.c daemon/root-file.c daemon/account.c)
target_include_directories(scepter-apply PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(scepter-apply PRIVATE scepter-store scepter-key scepter-policy scepter-bus-client scepter-bus
    PkgConfig::JANSSON PkgConfig::INIH)
install(TARGETS scepter-apply DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/scepter)
