import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizers.languages import UNSURE, detect


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("결제가 두 번 되었습니다. 환불해 주세요.", "ko"),
        ("ㅠㅠ 안돼요", "ko"),
        ("결제 오류: PaymentIntent failed with status requires_action (card_declined)", "ko"),
        ("請求書 3월分 확인 부탁드립니다", "ko"),
        ("支払いができません。助けてください。", "ja"),
        ("ログインエラー", "ja"),
        ("ﾊﾟｽﾜｰﾄﾞ", "ja"),
        ("我的订单还没有到，请帮我查一下。", "zh"),
        ("發票金額有誤", "zh"),
        ("我要一杯優の良品牌的奶茶，已經付款但是沒有收到", "zh"),
        ("لم أستلم طلبي بعد، أرجو المساعدة", "ar"),
        ("سفارش من هنوز نرسیده است، لطفا پیگیری کنید", "fa"),
        ("میرا آرڈر ابھی تک نہیں پہنچا", "ur"),
        ("Мой заказ ещё не пришёл, помогите", "ru"),
        ("Привет", "ru"),
        ("Моє замовлення ще не прийшло", "uk"),
        ("Мой заказ яшчэ не прыйшоў", "be"),
        ("Моја поруџбина још није стигла", UNSURE),
        ("Η παραγγελία μου δεν έφτασε", "el"),
        ("ההזמנה שלי לא הגיעה", "he"),
        ("คำสั่งซื้อของฉันยังไม่มาถึง", "th"),
        ("मेरा ऑर्डर अभी तक नहीं आया", "hi"),
        ("ჩემი შეკვეთა არ მოსულა", "ka"),
        ("I have not received my order yet, could you please help?", "en"),
        ("Refund please", "en"),
        ("I can’t log in", "en"),
        ("Đơn hàng của tôi chưa đến, vui lòng giúp đỡ", "vi"),
        ("Ich habe meine Bestellung noch nicht erhalten, bitte helfen Sie mir", UNSURE),
        ("Je n'ai pas reçu ma commande, pouvez-vous m'aider ?", UNSURE),
        ("No he recibido mi pedido", UNSURE),
        ("Bestelling niet ontvangen, kunt u helpen met my account?", UNSURE),
        ("Charged twice", UNSURE),
        ("", UNSURE),
        ("12345 +82-10-1234-5678 !!! 😀", UNSURE),
        ("https://example.com/the/and/you/your/help jane@the.example", UNSURE),
        ("환불 https://example.com/a-very-long-address/that/is/only/latin?with=parameters&and=more", "ko"),
        ("Please help: the customer wrote 환불 and I do not know what that means for our order", "en"),
        ("안녕하세요 Привет", UNSURE),
    ],
)
def test_the_language_of(text, language):
    assert detect(text) == language


def test_only_the_beginning_is_looked_at():
    assert detect("환불해 주세요. " * 300 + "please help the customer " * 1000) == "ko"


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_every_text_has_an_answer(text):
    assert 2 <= len(detect(text)) <= 3
