# fish completion of scepter(1)

function __scepter_names
        scepter $argv 2>/dev/null | tail -n +2 | string replace -r '\s.*' ''
end

function __scepter_verb
        set -l words (commandline -opc | string match -v -- '-*')
        test (count $words) -ge (math 1 + (count $argv)); or return 1
        for i in (seq (count $argv))
                test $words[(math $i + 1)] = $argv[$i]; or return 1
        end
end

function __scepter_at
        set -l words (commandline -opc | string match -v -- '-*')
        test (count $words) -eq (math 1 + (count $argv)); and __scepter_verb $argv
end

complete -c scepter -f
complete -c scepter -l json -d 'JSON'
complete -c scepter -l no-color -d 'No colours'
complete -c scepter -l help -d 'Help'
complete -c scepter -l version -d 'Version'

complete -c scepter -n '__scepter_at' -a profile -d 'Add, list, show and remove profiles'
complete -c scepter -n '__scepter_at' -a syncml -d 'Execute a SyncML document'
complete -c scepter -n '__scepter_at' -a enroll -d 'Get a certificate'
complete -c scepter -n '__scepter_at' -a renew -d 'Renew a certificate now'
complete -c scepter -n '__scepter_at' -a list -d 'List the certificates'
complete -c scepter -n '__scepter_at' -a show -d 'Show a certificate'
complete -c scepter -n '__scepter_at' -a wait -d 'Wait until there is a certificate'
complete -c scepter -n '__scepter_at' -a cancel -d 'Cancel a running request'
complete -c scepter -n '__scepter_at' -a remove -d 'Remove a certificate and its key'
complete -c scepter -n '__scepter_at' -a diagnose -d 'Walk every step and say what is wrong'
complete -c scepter -n '__scepter_at' -a events -d 'Show what happened, and what happens'
complete -c scepter -n '__scepter_at' -a tpm -d 'Show the state of the TPM'
complete -c scepter -n '__scepter_at' -a key -d 'Use the private key once'
complete -c scepter -n '__scepter_at' -a change-pin -d 'Change the PIN of a key'
complete -c scepter -n '__scepter_at' -a agent -d 'Be asked for PINs'
complete -c scepter -n '__scepter_at' -a attest -d 'Write down what the TPM says about a key'

complete -c scepter -n '__scepter_at profile' -a 'add list show remove'
complete -c scepter -n '__scepter_at profile add' -F
complete -c scepter -n '__scepter_verb profile add' -l format -x -a 'auto syncml ini'
complete -c scepter -n '__scepter_verb profile add' -l user -d 'For yourself'
complete -c scepter -n '__scepter_at profile show' -a '(__scepter_names profile list)'
complete -c scepter -n '__scepter_verb profile show' -l resolve -d 'Values of variables'
complete -c scepter -n '__scepter_verb profile show' -l user -x -a '(__fish_complete_users)'
complete -c scepter -n '__scepter_at profile remove' -a '(__scepter_names profile list)'
complete -c scepter -n '__scepter_verb profile remove' -l with-certificates -d 'And what came of it'
complete -c scepter -n '__scepter_at syncml' -a apply
complete -c scepter -n '__scepter_at syncml apply' -F
complete -c scepter -n '__scepter_verb syncml apply' -l user -x -a '(__fish_complete_users)'
complete -c scepter -n '__scepter_at enroll' -a '(__scepter_names profile list)'
complete -c scepter -n '__scepter_verb enroll' -l wait -d 'Until it is there'
complete -c scepter -n '__scepter_verb enroll' -l challenge-file -r -F
complete -c scepter -n '__scepter_verb enroll' -l for -x -a '(__fish_complete_users)'
complete -c scepter -n '__scepter_at renew' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_verb renew' -l wait -d 'Until it is there'
complete -c scepter -n '__scepter_verb renew' -l accept -d 'Take what differs'
complete -c scepter -n '__scepter_at show' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_verb show' -l pem
complete -c scepter -n '__scepter_verb show' -l chain
complete -c scepter -n '__scepter_verb show' -l uri
complete -c scepter -n '__scepter_at wait' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_verb wait' -l applied -d 'And its consumers have it'
complete -c scepter -n '__scepter_at cancel' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_at remove' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_at change-pin' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_at diagnose' -a '(__scepter_names list) (__scepter_names profile list)'
complete -c scepter -n '__scepter_at events' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_verb events' -l follow -d 'Go on'
complete -c scepter -n '__scepter_verb events' -l since -x -d 'Not before'
complete -c scepter -n '__scepter_at key' -a test
complete -c scepter -n '__scepter_at key test' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_at attest' -a '(__scepter_names list)'
complete -c scepter -n '__scepter_verb attest' -l nonce -r -F
complete -c scepter -n '__scepter_verb attest' -l output -r -F
complete -c scepter -n '__scepter_verb attest' -l verify -r -F
complete -c scepter -n '__scepter_verb attest' -l ca -r -F
complete -c scepter -n '__scepter_verb attest' -l ek-ca -r -F
complete -c scepter -n '__scepter_verb attest' -l attester -x
