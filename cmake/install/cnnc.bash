# Completion of cnnc for bash. Commands and options are what `--help` shows.
_cnnc() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
  local commands="compile train eval predict run summary check bench tune opt help"
  local model="--batch --optimizer --init"
  local -A options=(
    [compile]="-o --output --emit --target --conv $model --no-cache --no-tune --jobs --print-after --print-after-all --time"
    [train]="--data --epochs -o --output $model --seed --threads --validation --resume --no-cache --no-tune -q --quiet"
    [eval]="--data --checkpoint --json --threads --no-cache --no-tune"
    [predict]="--data --checkpoint --threads --no-cache --no-tune"
    [run]="--input --weights --seed --init --threads --no-cache --no-tune"
    [summary]="--target $model"
    [check]="--samples --count --seed --conv $model --no-cache --no-tune"
    [bench]="--count --seconds --json --trace --threads --conv $model --no-cache --no-tune"
    [tune]="--seconds --count -q --quiet"
    [opt]="--pass -o --output"
    [help]=""
  )
  COMPREPLY=()
  if [[ $COMP_CWORD == 1 ]]; then
    COMPREPLY=($(compgen -W "$commands --help --version" -- "$current"))
    return
  fi
  case $previous in
    --emit) COMPREPLY=($(compgen -W "graph gradient fused plan schedule stmt llvm asm cpp header obj" -- "$current")); return ;;
    --target) COMPREPLY=($(compgen -W "host x86-64-linux x86-64-linux-avx2 x86-64-linux-avx512 arm-64-linux riscv-64-linux" -- "$current")); return ;;
    --conv) COMPREPLY=($(compgen -W "auto direct fast" -- "$current")); return ;;
    --checkpoint) COMPREPLY=($(compgen -W "best last" -- "$current")); return ;;
    --pass | --print-after)
      COMPREPLY=($(compgen -W "differentiate remove-dead choose-algorithm use-fast-convolution choose-layout fuse" -- "$current")); return ;;
    --data) COMPREPLY=($(compgen -W fashion-mnist -- "$current") $(compgen -f -- "$current")); return ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "${options[$command]} --help" -- "$current"))
  elif [[ $command == help ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$current"))
  else
    case $command in
      compile | train | run | summary | check | bench | tune) COMPREPLY=($(compgen -f -X '!*.dsl' -- "$current") $(compgen -d -- "$current")) ;;
      *) COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
  fi
}
complete -o filenames -F _cnnc cnnc
