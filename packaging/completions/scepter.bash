# bash completion of scepter(1)

_scepter_names() {
        scepter "$@" 2>/dev/null | tail -n +2 | awk '{ print $1 }'
}

_scepter() {
        local cur prev words cword
        _init_completion || return
        local verbs='profile syncml enroll renew list show wait cancel remove diagnose events tpm key change-pin agent attest'
        local global='--json --no-color --help --version'
        local verb= second= i

        case $prev in
        --challenge-file | --nonce | --output | --ca | --ek-ca | --verify)
                _filedir
                return
                ;;
        --format)
                mapfile -t COMPREPLY < <(compgen -W 'auto syncml ini' -- "$cur")
                return
                ;;
        --for | --user)
                mapfile -t COMPREPLY < <(compgen -u -- "$cur")
                return
                ;;
        --since) return ;;
        esac
        for ((i = 1; i < cword; i++)); do
                [[ ${words[i]} == -* ]] && continue
                if [[ -z $verb ]]; then
                        verb=${words[i]}
                elif [[ -z $second ]]; then
                        second=${words[i]}
                fi
        done
        local options=$global wanted=
        case $verb in
        '') wanted=$verbs ;;
        profile)
                case $second in
                '') wanted='add list show remove' ;;
                add)
                        options+=' --format --user'
                        [[ $cur == -* ]] || { _filedir; return; }
                        ;;
                show) options+=' --resolve --user' wanted=$(_scepter_names profile list) ;;
                remove) options+=' --with-certificates' wanted=$(_scepter_names profile list) ;;
                esac
                ;;
        syncml)
                if [[ -z $second ]]; then
                        wanted=apply
                else
                        options+=' --user'
                        [[ $cur == -* ]] || { _filedir; return; }
                fi
                ;;
        enroll) options+=' --wait --challenge-file --for' wanted=$(_scepter_names profile list) ;;
        renew) options+=' --wait --accept' wanted=$(_scepter_names list) ;;
        show) options+=' --pem --chain --uri' wanted=$(_scepter_names list) ;;
        wait) options+=' --applied' wanted=$(_scepter_names list) ;;
        cancel | remove | change-pin) wanted=$(_scepter_names list) ;;
        diagnose) wanted="$(_scepter_names list) $(_scepter_names profile list)" ;;
        events) options+=' --follow --since' wanted=$(_scepter_names list) ;;
        key)
                if [[ -z $second ]]; then
                        wanted=test
                else
                        wanted=$(_scepter_names list)
                fi
                ;;
        attest) options+=' --nonce --output --verify --ca --ek-ca --attester' wanted=$(_scepter_names list) ;;
        esac
        if [[ $cur == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
        else
                mapfile -t COMPREPLY < <(compgen -W "$wanted" -- "$cur")
        fi
}

complete -F _scepter scepter
