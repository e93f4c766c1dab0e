from django.db import migrations, models


def fail(apps, schema_editor):
    raise RuntimeError('broken in migrate')


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name='Never',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField()),
            ],
        ),
        migrations.RunPython(fail, migrations.RunPython.noop),
    ]
