package env

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Decode fills the struct that dst points to from lookup, which works like
// [os.LookupEnv]. Fields have the tag `env:"NAME"` or `env:"NAME,required"`,
// and the kind string, bool, int or int64; fields of embedded structs count as
// well. The error names all variables that are missing or malformed. It never
// contains a value.
func Decode(dst any, lookup func(string) (string, bool)) error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("env: Decode needs a pointer to a struct, not %T", dst)
	}
	var errs []error
	walk(v.Elem(), func(name string, required bool, f reflect.Value) {
		s, ok := lookup(name)
		if !ok || s == "" {
			if required {
				errs = append(errs, fmt.Errorf("%s is not set", name))
			}
			return
		}
		if err := set(f, s); err != nil {
			errs = append(errs, fmt.Errorf("%s is not a valid %s", name, f.Kind()))
		}
	})
	return errors.Join(errs...)
}

// Encode returns the environment variables of a settings struct. It fails if a
// required field is empty.
func Encode(src any) (map[string]string, error) {
	v := reflect.Indirect(reflect.ValueOf(src))
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("env: Encode needs a struct, not %T", src)
	}
	out := map[string]string{}
	var errs []error
	walk(v, func(name string, required bool, f reflect.Value) {
		if f.IsZero() && f.Kind() == reflect.String {
			if required {
				errs = append(errs, fmt.Errorf("%s is empty", name))
			}
			return
		}
		out[name] = fmt.Sprint(f.Interface())
	})
	return out, errors.Join(errs...)
}

func walk(v reflect.Value, visit func(name string, required bool, f reflect.Value)) {
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct {
			walk(v.Field(i), visit)
			continue
		}
		tag, ok := sf.Tag.Lookup("env")
		if !ok {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		visit(name, option == "required", v.Field(i))
	}
}

func set(f reflect.Value, s string) error {
	switch f.Kind() {
	case reflect.String:
		f.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return err
		}
		f.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return err
		}
		f.SetInt(n)
	default:
		return fmt.Errorf("unsupported kind %s", f.Kind())
	}
	return nil
}
